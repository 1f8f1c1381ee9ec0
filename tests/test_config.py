"""Switches: where they come from, what they accept, and what a compilation freezes of them."""

import copy
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygraph.config import Config, ConfigError, Options, UnknownOption, available_cpus, parse_flags

module = importlib.import_module(
    "tinygraph.config"
)  # not `import ... as`: the package has an attribute of that name


@pytest.fixture
def make(tmp_path):
    """A Config that sees only the given environment, and an empty home directory."""

    def build(home=tmp_path, **environ):
        return Config(environ, home)

    return build


def test_defaults(make):
    config = make()
    assert config.floatX == "float64" and config.device == "cpu" and config.target == ""
    assert config.on_unused_input == "raise" and config.seed is None and config.profile is False


def test_later_sources_win(make, tmp_path):
    (tmp_path / ".tinygraphrc").write_text("[global]\nfloatX = float32\nthreads = 3\ndevice = cuda\n")
    extra = tmp_path / "extra.ini"
    extra.write_text("[global]\nthreads = 4\nint_division = floatX\n")
    config = make(TINYGRAPHRC=str(extra), TINYGRAPH_FLAGS="device=cpu, seed=7")
    assert (config.floatX, config.threads, config.int_division) == ("float32", 4, "floatX")
    assert (config.device, config.seed) == ("cpu", 7)
    config.seed = None
    assert config.seed is None


def test_several_files_are_read_in_order(make, tmp_path):
    for name, threads in (("a", 1), ("b", 2)):
        (tmp_path / name).write_text(f"[global]\nthreads = {threads}\n")
    assert make(TINYGRAPHRC=os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")])).threads == 2


def test_sources_are_read_on_first_use_not_before(make):
    config = make(TINYGRAPH_FLAGS="nonsense=1")
    with pytest.raises(
        UnknownOption, match="TINYGRAPH_FLAGS: no option 'nonsense'; there are: floatX, device"
    ):
        _ = config.floatX


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("floatX", "FLOAT32", "float32"),
        ("device", "cuda", "cuda"),
        ("device", "cuda:01", "cuda:1"),
        ("optimizer", None, "none"),
        ("threads", "0x10", 16),
        ("threads", 2, 2),
        ("seed", "none", None),
        ("profile", "on", True),
        ("profile", 0, False),
        ("cache_dir", Path("a") / "b", os.path.join("a", "b")),
        ("cache_dir", "~", os.path.expanduser("~")),
    ],
)
def test_values_are_normalised(make, name, value, kept):
    config = make()
    setattr(config, name, value)
    assert getattr(config, name) == kept


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("floatX", "float65", "'float64', 'float32', 'float16'"),
        ("floatX", 32, "'float64', 'float32', 'float16'"),
        ("device", "gpu", "'cpu', 'cuda', or 'cuda:N'"),
        ("device", "cuda:x", "'cpu', 'cuda', or 'cuda:N'"),
        ("device", "cuda:", "'cpu', 'cuda', or 'cuda:N'"),
        ("threads", -1, "a whole number of at least 0"),
        ("threads", 1.5, "a whole number of at least 0"),
        ("threads", float("nan"), "a whole number of at least 0"),
        ("threads", True, "a whole number of at least 0"),
        ("seed", "x", "a whole number of at least 0, or None"),
        ("profile", "maybe", "True or False"),
        ("cache_dir", 3, "a path"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(make, name, value, allowed):
    config = make()
    before = getattr(config, name)
    with pytest.raises(ConfigError) as raised:
        setattr(config, name, value)
    assert str(raised.value).startswith(f"config: {name} cannot be {value!r}; allowed: {allowed}")
    assert getattr(config, name) == before


def test_unknown_names(make):
    config = make()
    with pytest.raises(UnknownOption, match=r"config: no option 'floatx' \(did you mean 'floatX'\?\)"):
        config.floatx = "float32"
    with pytest.raises(UnknownOption, match="config: no option 'quux'; there are: "):
        _ = config.quux
    assert not hasattr(config, "quux")
    with pytest.raises(ConfigError, match="cannot be deleted"):
        del config.floatX


def test_change_restores_also_after_an_error(make):
    config = make()
    with pytest.raises(ZeroDivisionError), config.change(floatX="float32", threads=1):
        assert (config.floatX, config.threads) == ("float32", 1)
        raise ZeroDivisionError
    assert (config.floatX, config.threads) == ("float64", 0)


def test_change_sets_all_or_nothing(make):
    config = make()
    with (
        pytest.raises(ConfigError, match="config.change: threads cannot be -1"),
        config.change(floatX="float32", threads=-1),
    ):
        pass
    assert config.floatX == "float64"


def test_change_as_a_decorator(make):
    config = make()

    @config.change(floatX="float16")
    def inside():
        return config.floatX

    assert (inside(), config.floatX) == ("float16", "float64")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("floatX", "TINYGRAPH_FLAGS: expected name=value between commas, got 'floatX'"),
        (
            "floatX=float1",
            "TINYGRAPH_FLAGS: floatX cannot be 'float1'; allowed: 'float64', 'float32', 'float16'",
        ),
        ("=3", "TINYGRAPH_FLAGS: no option ''; there are: "),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(ConfigError) as raised:
        parse_flags(flags)
    assert str(raised.value).startswith(message)


def test_empty_flags_are_fine():
    assert parse_flags(" , ,") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"floatX = float32\n", "expected an ini file with the section [global]"),
        (b"[elsewhere]\nfloatX = float32\n", "no section [elsewhere]"),
        (b"[global]\nfloatY = float32\n", "no option 'floatY'"),
        (b"[global]\nthreads = many\n", "threads cannot be 'many'"),
        (b"\xff\xfe", "expected an ini file"),
    ],
)
def test_bad_files_are_named(make, tmp_path, content, message):
    path = tmp_path / "bad.ini"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        _ = make(TINYGRAPHRC=str(path)).floatX
    assert str(raised.value).startswith(str(path)) and message in str(raised.value)


def test_a_missing_named_file_is_an_error(make, tmp_path):
    with pytest.raises(ConfigError, match="absent.ini: cannot be read as a configuration file"):
        _ = make(TINYGRAPHRC=str(tmp_path / "absent.ini")).floatX


def test_freeze_is_hashable_and_follows_what_matters(make):
    config = make()
    first = config.freeze()
    assert isinstance(first, Options) and hash(first) == hash(config.freeze())
    with config.change(profile=True, cache_size_mb=1):
        assert config.freeze() == first  # neither changes what is compiled
    with config.change(floatX="float32"):
        assert config.freeze() != first
    assert config.freeze(target="numpy").target == "numpy"
    with pytest.raises(ConfigError, match="config.freeze: target cannot be 'abacus'"):
        config.freeze(target="abacus")
    with pytest.raises(UnknownOption, match="config.freeze: no option 'profile'"):
        config.freeze(profile=True)


def test_every_field_of_options_is_a_switch():
    assert set(module._FROZEN) <= set(Config.options())


def test_threads_zero_means_the_affinity_mask(make):
    config = make()
    assert config.thread_count() == available_cpus() == config.freeze().threads >= 1
    config.threads = 5
    assert config.thread_count() == 5


def test_cache_path(make, tmp_path):
    config = make()
    assert config.cache_path().name == "tinygraph"
    config.cache_dir = tmp_path
    assert config.cache_path() == tmp_path
    if sys.platform.startswith("linux"):
        assert module.user_cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/tinygraph")


def test_every_switch_is_documented(make):
    text = Config.describe()
    for name, option in Config.options().items():
        assert option.__doc__ and option.__doc__.endswith(".") and f"{name} (default" in text
        assert option.check(option.default) == option.default


def test_representation_lists_the_values(make):
    assert "floatX = 'float64'" in repr(make())


def test_a_config_can_be_copied(make):
    config = make()
    config.floatX = "float32"
    assert copy.copy(config).floatX == "float32"


def test_environment_of_a_real_process(tmp_path):
    code = "from tinygraph.config import config; print(config.floatX, config.threads)"
    environ = {**os.environ, "TINYGRAPH_FLAGS": "floatX=float16,threads=2", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["float16", "2"]


def test_examples_in_the_docstrings():
    assert doctest.testmod(module).failed == 0


def test_the_table_in_the_documentation_is_complete():
    page = Path(module.__file__).parents[1] / "docs" / "configuration.md"
    if not page.exists():
        pytest.skip("needs a checkout")
    text = page.read_text(encoding="utf-8")
    for name, option in Config.options().items():
        assert f"| `{name}` | `{option.default!r}` | {option.__doc__} | {option.allowed} |" in text
