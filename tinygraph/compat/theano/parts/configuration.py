"""``theano.config``: tinygraph's switches under Theano's names and values, and what else Theano's programs set.

Values come from ``.theanorc`` (or the files in ``THEANORC``) and ``THEANO_FLAGS``, later ones winning. What Theano has
and tinygraph has no use for is accepted, kept, and without effect; names that Theano does not have either are ignored
with one warning.
"""

from __future__ import annotations

import configparser
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygraph.config import config as native
from tinygraph.errors import ConfigError

#: switches of the same name and meaning
SHARED = (
    "floatX", "device", "mode", "optimizer", "int_division", "cast_policy", "warn_float64", "compute_test_value",
    "print_test_value", "on_unused_input", "exception_verbosity", "profile", "deterministic",
)  # fmt: skip

#: Theano's other options with their defaults: accepted, and without effect here
WITHOUT_EFFECT: dict[str, Any] = {
    "linker": "cvm", "cxx": "", "gcc.cxxflags": "", "allow_gc": True, "openmp": False,
    "openmp_elemwise_minsize": 200000,
    "init_gpu_device": "", "force_device": False, "contexts": "", "assert_no_cpu_op": "ignore",
    "unpickle_function": True,
    "profile_optimizer": False, "profile_memory": False, "profiling.time_thunks": True, "profiling.n_apply": 20,
    "profiling.n_ops": 20, "profiling.min_memory_size": 1024, "profiling.min_peak_memory": False,
    "profiling.destination": "stderr", "profiling.ignore_first_call": False, "profiling.output_line_width": 512,
    "optimizer_excluding": "", "optimizer_including": "", "optimizer_requiring": "", "optimizer_verbose": False,
    "on_opt_error": "warn", "on_shape_error": "warn", "optdb.max_use_ratio": 8.0, "optdb.position_cutoff": float("inf"),
    "compiledir": "", "base_compiledir": "", "compiledir_format": "", "lib.amdlibm": False, "lib.cnmem": 0.0,
    "nvcc.compiler_bindir": "", "nvcc.flags": "", "nvcc.fastmath": False, "cuda.root": "", "cuda.enabled": True,
    "blas.ldflags": "", "blas.check_openmp": True, "dnn.enabled": "auto", "dnn.include_path": "",
    "dnn.library_path": "",
    "dnn.bin_path": "", "dnn.base_path": "", "dnn.conv.workmem": "", "dnn.conv.workmem_bwd": "",
    "dnn.conv.algo_fwd": "small", "dnn.conv.algo_bwd": "none", "dnn.conv.algo_bwd_filter": "none",
    "dnn.conv.algo_bwd_data": "none", "dnn.conv.precision": "as_input_f32", "gpuarray.preallocate": 0.0,
    "gpuarray.sched": "default", "gpuarray.single_stream": True, "gpuarray.cache_path": "", "magma.enabled": False,
    "scan.allow_gc": False, "scan.allow_output_prealloc": True, "scan.debug": False, "experimental.mrg": False,
    "experimental.unpickle_gpu_on_cpu": False, "experimental.local_alloc_elemwise": True,
    "experimental.local_alloc_elemwise_assert": True, "numpy.seterr_all": "ignore", "numpy.seterr_divide": "None",
    "numpy.seterr_over": "None", "numpy.seterr_under": "None", "numpy.seterr_invalid": "None",
    "warn.ignore_bug_before": "0.9", "warn.subtensor_merge_bug": False, "warn.argmax_pushdown_bug": False,
    "warn.gpusum_01_011_0111_bug": False, "warn.sum_sum_bug": False, "warn.sum_div_dimshuffle_bug": False,
    "warn.reduce_join": True, "warn.inc_set_subtensor1": True, "warn.round": True, "warn.signal_conv2d_interface": True,
    "warn.inc_subtensor1_opt": True, "warn.cumsum_wrong_axis": True, "warn.vm_gc_bug": False,
    "DebugMode.patience": 10, "DebugMode.check_c": True, "DebugMode.check_py": True, "DebugMode.check_finite": True,
    "DebugMode.check_strides": 0, "DebugMode.warn_input_not_reused": True, "DebugMode.check_preallocated_output": "",
    "DebugMode.check_isfinite": True, "NanGuardMode.nan_is_error": True, "NanGuardMode.inf_is_error": True,
    "NanGuardMode.big_is_error": True, "NanGuardMode.action": "raise", "traceback.limit": 8,
    "traceback.compile_limit": 0, "check_input": True, "cache_optimizations": False,
    "reoptimize_unpickled_function": False,
    "pickle_test_value": True, "compute_test_value_opt": "off",
    "max_err": 0.0, "gpuelemwise.sync": True, "enable_initial_driver_test": True,
    "cycle_detection": "regular",
    "tensor.cmp_sloppy": 0, "tensor.local_elemwise_fusion": True, "tensor.insert_inplace_optimizer_validate_nb": -1,
    "unittests.rseed": 666, "unittest.rseed": 666, "cmodule.mac_framework_link": False,
    "cmodule.warn_no_version": False,
    "cmodule.remove_gxx_opt": False, "cmodule.compilation_warning": False, "cmodule.preload_cache": False,
    "cmodule.age_thresh_use": 2073600, "cmodule.debug": False, "ctc.root": "", "stickyimage": "",
    "conv.assert_shape": False,
    "inplace_elemwise": True, "print_active_device": True, "metaopt.verbose": 0, "metaopt.optimizer_excluding": "",
    "metaopt.optimizer_including": "", "floatX_": "", "vm.lazy": None, "gpu.profile": False, "lock_timeout": 120,
    "compile.wait": 5, "compile.timeout": 120, "pycuda.init": False, "cublas.lib": "cublas", "root": "",
}  # fmt: skip

_DEVICES = ("gpu", "cuda", "opencl")
_OPTIMIZERS = {"o4": "fast_run", "o3": "fast_run", "o2": "fast_run", "unsafe": "fast_run", "merge": "fast_compile",
               "o1": "fast_compile", "none": "none"}  # fmt: skip
_MODES = {"debug_mode": "DebugMode", "profile_mode": "FAST_RUN", "profilemode": "FAST_RUN"}


def optimizer_named(name: str | None) -> str:
    """Theano's name of an optimizer in tinygraph's words; None and "default" are the configured one."""
    word = native.optimizer if name in (None, "", "default") else str(name)
    return _OPTIMIZERS.get(word.lower(), word)


def _to_native(name: str, value: Any) -> Any:
    """Theano's value of a switch in tinygraph's words."""
    if name == "device" and str(value).startswith(_DEVICES):
        return _gpu(str(value))
    if name == "optimizer":
        return optimizer_named(str(value))
    if name == "mode":
        return _MODES.get(str(value).lower(), value)
    return value


def _gpu(word: str) -> str:
    from tinygraph.doctor import targets

    verdict = str(targets().get("cuda", "not available"))
    if not verdict.startswith(("ok", "yes", "available")):
        warnings.warn(f"theano: device={word}: no GPU can be used here ({verdict}); running on the CPU", stacklevel=4)
        return "cpu"
    number = "".join(c for c in word if c.isdigit())
    return f"cuda:{number}" if number else "cuda"


def _from_native(name: str, value: Any) -> Any:
    if name == "device":
        return value.replace(":", "")
    if name == "optimizer" and value == "none":
        return "None"
    return value


class _Section:
    """``config.dnn``, ``config.warn`` ...: the options whose names begin so."""

    def __init__(self, values: dict[str, Any], prefix: str):
        self.__dict__.update(_values=values, _prefix=prefix)

    def __getattr__(self, name: str) -> Any:
        values, full = self.__dict__["_values"], f"{self.__dict__['_prefix']}.{name}"
        if full in values:
            return values[full]
        if any(key.startswith(f"{full}.") for key in values):
            return _Section(values, full)
        raise AttributeError(f"theano.config has no option {full!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["_values"][f"{self.__dict__['_prefix']}.{name}"] = value


class TheanoConfig:
    """All options as attributes, those with a dot as ``config.section.name``."""

    def __init__(self) -> None:
        self.__dict__["_values"] = dict(WITHOUT_EFFECT)

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__["_values"]
        if name in SHARED:
            return _from_native(name, getattr(native, name))
        if name == "compiledir" or name == "base_compiledir":
            return values[name] or str(native.cache_path())
        if name in values:
            return values[name]
        if any(key.startswith(f"{name}.") for key in values):
            return _Section(values, name)
        raise AttributeError(f"theano.config has no option {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SHARED:
            setattr(native, name, _to_native(name, value))
        else:
            self.__dict__["_values"][name] = value

    @contextmanager
    def change_flags(self, **values: Any) -> Iterator[None]:
        """Other values inside a ``with`` block, or in a decorated function; a dot in a name is written ``__``."""
        old = {}
        try:
            for name, value in values.items():
                old[name] = self._get(name.replace("__", "."))
                self._set(name.replace("__", "."), value)
            yield
        finally:
            for name, value in old.items():
                self._set(name.replace("__", "."), value)

    def _get(self, name: str) -> Any:
        return getattr(self, name) if "." not in name else self.__dict__["_values"][name]

    def _set(self, name: str, value: Any) -> None:
        if "." in name:
            self.__dict__["_values"][name] = value
        else:
            setattr(self, name, value)

    def __repr__(self) -> str:
        lines = [f"{name} = {getattr(self, name)!r}" for name in SHARED]
        return "\n".join([*lines, *(f"{k} = {v!r} (no effect)" for k, v in self.__dict__["_values"].items())])


config = TheanoConfig()


class change_flags:  # noqa: N801 - Theano's name
    """``with change_flags(floatX="float32"):``, as a decorator, or with pairs: ``[("dnn.enabled", "False")]``."""

    def __init__(self, args: Any = (), **kwargs: Any):
        self._values = {**{k.replace(".", "__"): v for k, v in dict(args).items()}, **kwargs}
        self._open: list[Any] = []

    def __enter__(self) -> None:
        self._open.append(config.change_flags(**self._values))
        self._open[-1].__enter__()

    def __exit__(self, *error: Any) -> None:
        self._open.pop().__exit__(*error)

    def __call__(self, function: Any) -> Any:
        import functools

        @functools.wraps(function)
        def changed(*args: Any, **kwargs: Any) -> Any:
            with change_flags(**self._values):
                return function(*args, **kwargs)

        return changed


def read_flags(environ: Any = os.environ, home: Path | None = None) -> None:
    """Take over what ``.theanorc`` and ``THEANO_FLAGS`` say. Raises ConfigError for a value that cannot be."""
    found = {}
    names = environ.get("THEANORC", str((home or Path.home()) / ".theanorc"))
    for name in names.split(os.pathsep):
        path = Path(name).expanduser()
        if path.is_file():
            found.update(_file(path))
    for part in environ.get("THEANO_FLAGS", "").split(","):
        name, equals, value = (p.strip() for p in part.partition("="))
        if part.strip() and not equals:
            raise ConfigError(f"THEANO_FLAGS: expected name=value between commas, got {part.strip()!r}")
        if equals:
            found[name] = value
    unknown = [name for name in found if name not in SHARED and name not in WITHOUT_EFFECT]
    for name, value in found.items():
        if name in SHARED:
            config._set(name, value)
        elif name in WITHOUT_EFFECT:
            config._set(name, _like(WITHOUT_EFFECT[name], value))
    if unknown:
        warnings.warn(f"theano: unknown flags are ignored: {', '.join(unknown)}", stacklevel=3)


def _like(default: Any, text: str) -> Any:
    """``text`` as a value of the default's kind."""
    if isinstance(default, bool):
        return text.lower() in ("true", "1", "yes", "on")
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


def _file(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a configuration file: {error}") from None
    return {
        (name if section == "global" else f"{section}.{name}"): value
        for section in parser.sections()
        for name, value in parser.items(section)
    }


def local_bitwidth() -> int:
    """Bits of an address here."""
    import struct

    return struct.calcsize("P") * 8


def python_int_bitwidth() -> int:
    """Bits of C's long here."""
    import struct

    return struct.calcsize("l") * 8
