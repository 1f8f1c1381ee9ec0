"""The benchmark's processes: they run steps in turns, and say what went wrong."""

import pytest

from tests.benchmarks.timing import take_turns
from tests.benchmarks.worker import workers


def test_steps_run_in_their_own_processes_in_turns(capsys):
    wanted = {"ours": ("tests.benchmarks.tinygraph_steps", "numpy"), "theirs": ("tests.benchmarks.no_such_module",)}
    with workers(wanted) as processes:
        assert list(processes) == ["ours"]
        assert "no_such_module" in capsys.readouterr().err
        ours = processes["ours"]
        assert ours.make("scalar_add", ()) == [""]
        times = take_turns({"a": lambda n: ours.run("", n), "b": lambda n: ours.run("", n)}, seconds=0.01, least=2)
        assert all(0 < seconds < 1 for seconds in times.values())
        assert ours.make("no_such_work", ()) == []
        with pytest.raises(TypeError, match="argument"):
            ours.make("scalar_add", (1, 2, 3))
        assert ours.make("scalar_add", ()) == [""]
