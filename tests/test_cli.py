"""The command line: complete help, one readable line for every error, status 2."""

import argparse
import os
import subprocess
import sys

import pytest

from tinygraph import arguments, cli
from tinygraph.errors import DataError


def status_of(*argv):
    try:
        return cli.main(argv)
    except SystemExit as exit:
        return exit.code


def test_help_lists_every_command(capsys):
    assert status_of("--help") == 0
    text = capsys.readouterr().out
    for name in ["demo", *(name for name, module in cli.COMMANDS.items() if cli._file(module).exists())]:
        assert f"\n    {name} " in text or f"\n    {name}\n" in text, name


def test_every_demo_has_a_line_in_the_help(capsys):
    assert {"lenet", "mlp", "logistic"} <= set(cli.demos())
    assert status_of("demo", "--help") == 0
    text = capsys.readouterr().out
    words = text.split()
    for name in cli.demos():
        assert f"\n    {name} " in text or f"\n    {name}\n" in text, name
        assert not words[words.index(name) + 1].startswith("-")  # a line about it follows


@pytest.mark.parametrize("command", ["data", "doctor", "config"])
def test_help_of_commands(capsys, command):
    assert status_of(command, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: tinygraph {command}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "tinygraph: error: the following arguments are required: COMMAND (see tinygraph --help)"),
        (["fly"], "tinygraph: error: argument COMMAND: invalid choice: 'fly'"),
        (["demo", "fly"], "tinygraph demo: error: argument NAME: invalid choice: 'fly'"),
        (["data", "fetch", "cifar"], "tinygraph data fetch: error: argument SET: invalid choice: 'cifar'"),
        (
            ["data", "show", "--data", "/no/where"],
            "tinygraph: error: /no/where: expected a directory with MNIST's",
        ),
        (["config", "flaotX"], "tinygraph: error: config: no option 'flaotX' (did you mean 'floatX'?)"),
        (["doctor", "--quick"], "tinygraph: error: unrecognized arguments: --quick"),
    ],
)
def test_errors_are_one_line(capsys, argv, message):
    assert status_of(*argv) == 2
    output = capsys.readouterr()
    assert output.err.startswith(message) and output.err.count("\n") == 1 and not output.out


def test_traceback_on_request():
    with pytest.raises(DataError):
        cli.main(["--traceback", "data", "show", "--data", "/no/where"])


def test_wrong_switches_are_one_line_too(tmp_path):
    environ = {**os.environ, "TINYGRAPH_FLAGS": "floatX=float65", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tinygraph", "config"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "tinygraph: error: TINYGRAPH_FLAGS: floatX cannot be 'float65'; allowed: 'float64'"
    )
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "tinygraph", "config"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_version(capsys):
    assert status_of("--version") == 0
    assert capsys.readouterr().out.startswith("tinygraph ")


def test_config_lists_switches(capsys):
    assert status_of("config", "floatX", "threads") == 0
    text = capsys.readouterr().out
    assert text.startswith("floatX = ") and "threads = " in text and "device" not in text


def test_data_show(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGRAPH_DATA", raising=False)
    monkeypatch.setattr("tinygraph.datasets.mnist.user_cache_dir", lambda: tmp_path)
    assert status_of("data", "show") == 0
    assert capsys.readouterr().out.startswith("digits (1,197 train, 300 valid, 300 test)")


def test_doctor(capsys):
    assert status_of("doctor") == 0
    text = capsys.readouterr().out
    for word in ("Python 3", "CPUs", "numpy", "networkx", "llvm", "cuda", "GFLOP/s", "GB/s"):
        assert word in text


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (arguments.positive_int, "3", 3),
        (arguments.natural, "0", 0),
        (arguments.positive_float, "1e-3", 1e-3),
        (arguments.nonnegative_float, "0", 0.0),
        (arguments.probability, "0.5", 0.5),
    ],
)
def test_numbers(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "texts", "expected"),
    [
        (arguments.positive_int, ["0", "-1", "1.5", "x", "", "nan"], "a whole number of at least 1"),
        (arguments.natural, ["-1", "1e3"], "a whole number of at least 0"),
        (arguments.positive_float, ["0", "-0.1", "nan", "inf", "x"], "a positive, finite number"),
        (arguments.nonnegative_float, ["-1", "nan", "inf"], "a finite number of at least 0"),
        (arguments.probability, ["1", "-0.1", "nan"], "a number from 0 up to, but not including, 1"),
    ],
)
def test_numbers_that_are_refused(parse, texts, expected):
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as raised:
            parse(text)
        assert str(raised.value) == f"expected {expected}, got {text!r}"


def test_places(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert arguments.existing_directory(str(tmp_path)) == tmp_path
    assert arguments.output_directory(str(tmp_path / "new")) == tmp_path / "new"
    assert arguments.file_to_write(str(tmp_path / "new.json")) == tmp_path / "new.json"
    for parse, path, message in [
        (arguments.existing_directory, file, "expected a directory, found a file"),
        (arguments.existing_directory, tmp_path / "none", "expected a directory, found nothing"),
        (arguments.output_directory, file, "expected a directory to write to, found a file"),
        (arguments.file_to_write, tmp_path, "expected a file to write, found a directory"),
        (
            arguments.file_to_write,
            tmp_path / "none" / "a.json",
            "expected a file to write, there is no directory",
        ),
    ]:
        with pytest.raises(argparse.ArgumentTypeError, match=message):
            parse(str(path))
