"""docs/debugging.md does what it says."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "debugging.md"


def test_every_example_on_the_page_runs_as_printed():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0
    assert tried > 25
