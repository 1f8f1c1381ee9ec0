"""Installing the names, the command, the plugin, flags and files."""

import subprocess
import sys
import warnings

import pytest

import tinygraph.compat.theano as compat
from tinygraph import cli, config
from tinygraph.compat.theano.parts.configuration import change_flags, read_flags
from tinygraph.errors import ConfigError, InvalidValue


def test_install_and_uninstall():
    compat.uninstall()
    assert "theano" not in sys.modules
    module = compat.install()
    import theano
    import theano.tensor.nnet.bn

    assert theano is module and compat.install() is module
    compat.uninstall()
    assert not [name for name in sys.modules if name == "theano" or name.startswith("theano.")]


def test_a_real_theano_is_left_alone(monkeypatch):
    compat.uninstall()
    monkeypatch.setattr(compat, "_real_theano", lambda: True)
    with pytest.raises(InvalidValue, match="a real Theano is installed here"):
        compat.install()
    assert compat.install(force=True) is sys.modules["theano"]


def test_without_installing():
    import tinygraph.compat.theano as theano
    import tinygraph.compat.theano.tensor as T
    from tinygraph.compat.theano.tensor.nnet import relu

    x = T.vector("x")
    assert theano.function([x], relu(x))([-1, 2]).tolist() == [0, 2] and theano.__version__ == "1.0.5"


def test_the_command_runs_a_script_with_its_arguments(tmp_path, capsys):
    (tmp_path / "helper.py").write_text("import theano.tensor as T\n")
    script = tmp_path / "script.py"
    script.write_text("import sys, theano\nfrom helper import T\nx = T.dscalar()\nprint(sys.argv[1:], __name__, x.type.ndim)\n"
                      "sys.exit(int(theano.function([x], x * 2)(1.5)))\n")  # fmt: skip
    with pytest.raises(SystemExit) as done:
        cli.main(["run-theano", str(script), "--flag", "a"])
    assert done.value.code == 3 and capsys.readouterr().out == "['--flag', 'a'] __main__ 0\n"
    assert str(tmp_path) not in sys.path


def test_the_command_without_a_script(tmp_path, capsys):
    assert cli.main(["run-theano", str(tmp_path / "none.py")]) == 2
    assert "none.py: no such file" in capsys.readouterr().err


def test_the_plugin(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import numpy, theano, theano.tensor as T\nfrom theano.tests import unittest_tools as utt\n"
        "def test_it():\n    utt.verify_grad(T.tanh, [numpy.ones(3)])\n"
    )
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "tinygraph.compat.theano.plugin", "-p",
                           "no:cacheprovider", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_flags_and_files(tmp_path):
    rc = tmp_path / "theanorc"
    rc.write_text("[global]\nfloatX = float32\noptimizer = None\n[nvcc]\nfastmath = True\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_flags({"THEANORC": str(rc), "THEANO_FLAGS": "floatX=float64,exception_verbosity=high,lib.cnmem=0.5"})
    theano = compat.install()
    assert config.floatX == "float64" and config.optimizer == "none" and config.exception_verbosity == "high"
    assert theano.config.optimizer == "None" and theano.config.nvcc.fastmath is True and theano.config.lib.cnmem == 0.5


def test_unknown_flags_are_ignored_with_one_warning():
    with pytest.warns(UserWarning, match="theano: unknown flags are ignored: nonsense, more.nonsense") as seen:
        read_flags({"THEANORC": "", "THEANO_FLAGS": "nonsense=1,floatX=float32,more.nonsense=2"})
    assert len(seen) == 1 and config.floatX == "float32"


def test_a_wrong_value_is_an_error():
    with pytest.raises(ConfigError, match="floatX cannot be 'float7'"):
        read_flags({"THEANORC": "", "THEANO_FLAGS": "floatX=float7"})
    with pytest.raises(ConfigError, match="expected name=value between commas, got 'floatX'"):
        read_flags({"THEANORC": "", "THEANO_FLAGS": "floatX"})


def test_no_gpu_means_the_cpu_with_a_warning(monkeypatch):
    monkeypatch.setattr("tinygraph.doctor.targets", lambda: {"cuda": "needs CuPy"})
    with pytest.warns(UserWarning, match="no GPU can be used here .needs CuPy."):
        read_flags({"THEANORC": "", "THEANO_FLAGS": "device=gpu0"})
    assert config.device == "cpu"


def test_options_of_theano(installed):
    theano = installed
    theano.config.floatX = "float32"
    assert config.floatX == "float32"
    theano.config.warn.subtensor_merge_bug = True
    assert theano.config.warn.subtensor_merge_bug is True
    with change_flags(floatX="float64"):
        assert config.floatX == "float64"
    assert config.floatX == "float32"

    @change_flags([("warn.round", False)])
    def inside():
        return theano.config.warn.round

    assert inside() is False and theano.config.warn.round is True
    with pytest.raises(AttributeError, match="theano.config has no option 'nonsense'"):
        theano.config.nonsense  # noqa: B018
