"""The switches of tinygraph: what they are, what they may be, and where their values come from.

A value is looked for, later places winning, in

1. the defaults below,
2. ``~/.tinygraphrc``, an ini file with one section ``[global]``,
3. the file or files that ``$TINYGRAPHRC`` names (several are joined as in ``PATH``),
4. ``$TINYGRAPH_FLAGS``, as in ``TINYGRAPH_FLAGS="floatX=float32,device=cpu"``,
5. an assignment ``config.floatX = "float32"``, or ``with config.change(floatX="float32"):`` for a while.

The sources are read when a switch is first asked for. Every name and every value is checked where it comes in,
and a wrong one is refused with the list of what is allowed. What a compilation depends on is taken from here
once, as an :class:`Options` value (``config.freeze()``), and passed on explicitly; nothing below ``compile/``
reads these switches.
"""

from __future__ import annotations

import configparser
import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from tinygraph.errors import ConfigError, UnknownOption

__all__ = ["Config", "ConfigError", "Option", "Options", "UnknownOption", "available_cpus", "config"]

T = TypeVar("T")


class _NoSuchAttribute(UnknownOption, AttributeError):
    """An UnknownOption that ``hasattr`` and ``getattr`` with a default understand."""


class Option(Generic[T]):
    """One switch: a default, a rule that turns text or a Python value into a legal value, and a sentence on it."""

    name = ""

    def __init__(self, default: T, parse: Callable[[Any], T], allowed: str, doc: str) -> None:
        self.default = default
        self.parse = parse
        self.allowed = allowed
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, obj: None, owner: type) -> Option[T]: ...
    @overload
    def __get__(self, obj: Config, owner: type) -> T: ...
    def __get__(self, obj: Config | None, owner: type) -> Option[T] | T:
        return self if obj is None else obj._values()[self.name]

    def __set__(self, obj: Config, value: T) -> None:
        obj._values()[self.name] = self.check(value)

    def check(self, value: Any, source: str = "config") -> T:
        """The legal value that ``value`` stands for; raises ConfigError naming ``source`` and what is allowed."""
        try:
            return self.parse(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{source}: {self.name} cannot be {value!r}; allowed: {self.allowed}") from None


def choice(default: str, *others: str, doc: str) -> Option[str]:
    """A switch that takes one of a few words, in any case."""
    words = (default, *others)
    by_lower = {word.lower(): word for word in words}

    def parse(value: Any) -> str:
        word = "none" if value is None else value
        if not isinstance(word, str) or word.strip().lower() not in by_lower:
            raise ValueError
        return by_lower[word.strip().lower()]

    return Option(default, parse, ", ".join(repr(word) for word in words), doc)


def flag(default: bool, doc: str) -> Option[bool]:
    """A switch that is on or off."""
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }

    def parse(value: Any) -> bool:
        key = str(value).strip().lower()
        if key not in words:
            raise ValueError
        return words[key]

    return Option(default, parse, "True or False (also 1/0, yes/no, on/off)", doc)


def integer(default: int, low: int, doc: str) -> Option[int]:
    """A switch that takes a whole number of at least ``low``."""

    def parse(value: Any) -> int:
        return _whole_number(value, low)

    return Option(default, parse, f"a whole number of at least {low}", doc)


def optional_integer(doc: str) -> Option[int | None]:
    """A switch that takes a whole number from 0 up, or None."""

    def parse(value: Any) -> int | None:
        if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none")):
            return None
        return _whole_number(value, 0)

    return Option(None, parse, "a whole number of at least 0, or None", doc)


def _whole_number(value: Any, low: int) -> int:
    if isinstance(value, bool):
        raise TypeError
    number = int(value, 0) if isinstance(value, str) else int(value)
    if number < low or (not isinstance(value, str) and number != value):
        raise ValueError
    return number


def directory(doc: str) -> Option[str]:
    """A switch that takes a path, with ``~`` expanded; the empty text stands for the default place."""

    def parse(value: Any) -> str:
        text = os.fspath(value)
        if not isinstance(text, str):
            raise TypeError
        return os.path.expanduser(text.strip())

    return Option("", parse, "a path, or '' for the per-user default", doc)


def _device(value: Any) -> str:
    word = value.strip().lower()
    kind, colon, number = word.partition(":")
    if word in ("cpu", "cuda") or (kind == "cuda" and colon and number.isascii() and number.isdigit()):
        return f"cuda:{int(number)}" if number else word
    raise ValueError


def available_cpus() -> int:
    """How many CPUs this process may run on: its affinity mask, where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Options:
    """What a compilation depends on; hashable, and part of every cache key.

    Fields are the switches of the same names, with ``threads`` resolved to the real count.
    """

    floatX: str
    device: str
    mode: str
    optimizer: str
    target: str
    threads: int
    int_division: str
    cast_policy: str
    deterministic: bool
    allow_tf32: bool
    allow_bf16: bool
    fast_math: bool
    check: bool
    bounds_check: bool


class Config:
    """All switches as attributes; see the module's text for where their values come from.

    >>> config.floatX
    'float64'
    >>> with config.change(floatX="float32", threads=1):
    ...     config.floatX
    'float32'
    """

    floatX = choice(
        "float64", "float32", "float16",
        doc="Dtype of tensors whose constructor names none, and of Python floats under cast_policy 'numpy+floatX'.",
    )  # fmt: skip
    device = Option(
        "cpu",
        _device,
        "'cpu', 'cuda', or 'cuda:N'",
        "Where shared variables live and compiled functions run.",
    )
    mode = choice(
        "Mode", "FAST_RUN", "FAST_COMPILE", "DebugMode", "NanGuardMode", "MonitorMode", "None",
        doc="Mode of functions compiled without mode=. 'Mode' is FAST_RUN with the optimizer named by that switch.",
    )  # fmt: skip
    optimizer = choice("fast_run", "fast_compile", "none", doc="How much of the pass pipeline runs.")
    target = choice(
        "", "numpy", "llvm", "cuda",
        doc="What compiled functions are printed for; '' takes the best that this machine has for the device.",
    )  # fmt: skip
    seed = optional_integer("Seed of random streams that are given none; None draws one from the system.")
    threads = integer(0, 0, "Threads of one call; 0 takes every CPU in the process's affinity mask.")
    int_division = choice(
        "int", "floatX", "raise",
        doc="What '/' between whole numbers gives under Theano's rules: a floor division, a float, or an error.",
    )  # fmt: skip
    cast_policy = choice(
        "custom", "numpy+floatX", "numpy",
        doc="Dtype of Python numbers in expressions: 'custom' takes the narrowest that holds them and never widens "
        "floatX tensors, 'numpy' follows NumPy, 'numpy+floatX' caps at floatX what was not float64 before.",
    )  # fmt: skip
    warn_float64 = choice("ignore", "warn", "raise", "pdb", doc="What happens when a float64 tensor is made.")
    compute_test_value = choice(
        "off", "warn", "raise", "ignore", "pdb",
        doc="Evaluate every expression on its inputs' test values while it is built, to find shape errors there.",
    )  # fmt: skip
    print_test_value = flag(False, "Show test values where a variable is printed.")
    on_unused_input = choice(
        "raise", "warn", "ignore", doc="What function() does with an input nothing needs."
    )
    exception_verbosity = choice(
        "low", "high", doc="Whether run-time errors also show the printed graph and a table of live buffers."
    )
    profile = flag(False, "Profile every function compiled from now on.")
    deterministic = flag(False, "Only kernels whose results are the same bits in every run.")
    allow_tf32 = flag(False, "Let CUDA products of float32 use TF32 tensor cores (10 bits of mantissa).")
    allow_bf16 = flag(
        False, "Let CUDA products of float32 round factors to bfloat16 (8 bits of mantissa) for tensor cores."
    )
    fast_math = flag(False, "Allow rewrites that change rounding, or the outcome for nan and infinity.")
    check = flag(
        False, "Evaluate before and after each pass of a compilation, and name the first that differs."
    )
    bounds_check = flag(False, "Compile kernels with every access checked, and guard zones around buffers.")
    cache_dir = directory("Where compiled code is kept between runs; '' is the per-user cache directory.")
    cache_size_mb = integer(512, 0, "Bound on the size of that directory; 0 keeps nothing on disk.")

    def __init__(self, environ: Mapping[str, str] | None = None, home: Path | None = None) -> None:
        object.__setattr__(self, "_environ", environ)
        object.__setattr__(self, "_home", home)
        object.__setattr__(self, "_loaded", None)

    # -- reading and writing -------------------------------------------------------------------------------

    def _values(self) -> dict[str, Any]:
        if self._loaded is None:
            environ = os.environ if self._environ is None else self._environ
            values = {name: option.default for name, option in self.options().items()}
            values.update(_from_sources(environ, self._home))
            object.__setattr__(self, "_loaded", values)
        return self._loaded

    def __getattr__(self, name: str) -> Any:  # only reached for names that are not switches
        if name.startswith("__"):
            raise AttributeError(name)
        raise _NoSuchAttribute(str(_unknown(name, "config")))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.options():
            raise _unknown(name, "config")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise ConfigError(f"config: {name} cannot be deleted; assign it, or use `with config.change(...)`")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.options()]

    def __repr__(self) -> str:
        return "\n".join(f"{name} = {getattr(self, name)!r}" for name in self.options())

    @classmethod
    def options(cls) -> dict[str, Option[Any]]:
        """Every switch by name, in the order they are documented."""
        return _OPTIONS

    @classmethod
    def describe(cls) -> str:
        """A text that lists every switch: default, meaning, and what is allowed."""
        return "\n".join(
            f"{name} (default {option.default!r})\n    {option.__doc__}\n    Allowed: {option.allowed}."
            for name, option in cls.options().items()
        )

    @contextmanager
    def change(self, **values: Any) -> Iterator[Config]:
        """Other values inside a ``with`` block (or, as a decorator, inside a function); the old ones after it.

        All values are checked before any is set. The switches belong to the process: other threads see them too.
        """
        new = {
            name: _option(name, "config.change").check(value, "config.change")
            for name, value in values.items()
        }
        current = self._values()
        old = {name: current[name] for name in new}
        current.update(new)
        try:
            yield self
        finally:
            current.update(old)

    # -- derived --------------------------------------------------------------------------------------------

    def thread_count(self) -> int:
        """``threads``, with 0 resolved to the CPUs this process may run on."""
        return self.threads or available_cpus()

    def cache_path(self) -> Path:
        """``cache_dir``, with '' resolved to the per-user cache directory (which need not exist yet)."""
        return Path(self.cache_dir) if self.cache_dir else user_cache_dir()

    def freeze(self, **changes: Any) -> Options:
        """The Options that a compilation started now depends on, with ``changes`` in place of the switches."""
        for name in changes:
            if name not in _FROZEN:
                raise _unknown(name, "config.freeze", _FROZEN)
        values = {name: getattr(self, name) for name in _FROZEN}
        values.update(
            {name: self.options()[name].check(value, "config.freeze") for name, value in changes.items()}
        )
        values["threads"] = values["threads"] or available_cpus()
        return Options(**values)


_OPTIONS: dict[str, Option[Any]] = {
    name: value for name, value in vars(Config).items() if isinstance(value, Option)
}
_FROZEN = tuple(field.name for field in fields(Options))


def user_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The directory for files that may be deleted at any time, as the operating system has it."""
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tinygraph"


# -- sources ------------------------------------------------------------------------------------------------


def _unknown(name: str, source: str, known: tuple[str, ...] | None = None) -> UnknownOption:
    names = tuple(_OPTIONS) if known is None else known
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return UnknownOption(f"{source}: no option {name!r}{hint}; there are: {', '.join(names)}")


def _option(name: str, source: str) -> Option[Any]:
    if name not in _OPTIONS:
        raise _unknown(name, source)
    return _OPTIONS[name]


def _from_sources(environ: Mapping[str, str], home: Path | None) -> dict[str, Any]:
    """The checked values that files and flags give, later sources winning."""
    values: dict[str, Any] = {}
    default = (home or Path.home()) / ".tinygraphrc"
    if default.exists():
        values.update(_from_file(default))
    for part in environ.get("TINYGRAPHRC", "").split(os.pathsep):
        if part.strip():
            values.update(_from_file(Path(part.strip()).expanduser()))
    values.update(parse_flags(environ.get("TINYGRAPH_FLAGS", "")))
    return values


def _from_file(path: Path) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as a configuration file: {error.strerror}") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: expected an ini file with the section [global]: {reason}") from error
    for section in parser.sections():
        if section != "global":
            raise ConfigError(f"{path}: no section [{section}]; options stand in the section [global]")
    pairs = parser.items("global") if parser.has_section("global") else []
    return {name: _option(name, str(path)).check(text, str(path)) for name, text in pairs}


def parse_flags(text: str, source: str = "TINYGRAPH_FLAGS") -> dict[str, Any]:
    """The checked values in ``"name=value,name=value"``; raises ConfigError naming ``source``.

    >>> parse_flags("floatX=float32, threads=2")
    {'floatX': 'float32', 'threads': 2}
    """
    values: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ConfigError(f"{source}: expected name=value between commas, got {part!r}")
        values[name] = _option(name, source).check(value, source)
    return values


config = Config()
