"""Theano's modules as one table: under which name which native modules' contents are found.

An entry reads ``"tensor.nnet.bn": "tensor.nnet.bn"``: the module ``theano.tensor.nnet.bn`` shows what is in
``tinygraph.tensor.nnet.bn``. Several sources, separated by blanks, are asked in order; a leading ``+`` means a module
in ``tinygraph.compat.theano.parts``. Nothing is loaded before a name is asked for.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

TABLE: dict[str, str] = {
    "": "+top",
    # -- the symbolic language
    "tensor": "+tensor tensor +tensor_functions +tensor_ops random.streams",
    "tensor.basic": "+tensor tensor +tensor_functions +tensor_ops",
    "tensor.var": "+tensor tensor tensor.variable",
    "tensor.type": "+tensor tensor",
    "tensor.elemwise": "+tensor_ops +tensor tensor",
    "tensor.subtensor": "+tensor_ops tensor.subtensor tensor.index tensor.advanced_index +tensor +tensor_functions",
    "tensor.sharedvar": "tensor.sharedvar +tensor",
    "tensor.shared_randomstreams": "tensor.shared_randomstreams +tensor",
    "tensor.raw_random": "+raw_random tensor.raw_random",
    "tensor.extra_ops": "tensor.extra_ops +tensor_ops +tensor_functions",
    "tensor.nlinalg": "tensor.nlinalg tensor.diagonal +tensor_functions +tensor_ops",
    "tensor.slinalg": "+slinalg tensor.slinalg",
    "tensor.fft": "tensor.fft",
    "tensor.fourier": "tensor.fft",
    "tensor.xlogx": "tensor.xlogx",
    "tensor.sort": "tensor.sort +tensor_ops",
    "tensor.blas": "+tensor_ops tensor.dot",
    "tensor.inplace": "+inplace",
    "tensor.utils": "+tensor_utils",
    "tensor.opt": "+opt +gof",
    "tensor.io": "+tensor_io",
    "tensor.type_other": "+tensor_functions +gof",
    "tensor.nnet.corr3d": "+nnet",
    "tensor.blas_headers": "+tensor_ops",
    "tensor.nnet": "tensor.nnet +nnet",
    "tensor.nnet.nnet": "tensor.nnet.nnet tensor.nnet +nnet",
    "tensor.nnet.sigm": "tensor.nnet.sigm +nnet +scalar_ops",
    "tensor.nnet.conv": "tensor.nnet.conv +nnet",
    "tensor.nnet.abstract_conv": "+abstract_conv tensor.nnet.abstract_conv tensor.nnet.upsampling",
    "tensor.nnet.bn": "tensor.nnet.bn",
    "tensor.nnet.conv3d2d": "tensor.nnet.conv3d2d",
    "tensor.nnet.Conv3D": "+nnet",
    "tensor.nnet.neighbours": "tensor.nnet.neighbours",
    "tensor.nnet.ctc": "tensor.nnet.ctc",
    "tensor.nnet.blocksparse": "+nnet",
    "tensor.nnet.corr": "+nnet",
    "tensor.nnet.opt": "+opt +gof",
    "tensor.signal": "",
    "tensor.signal.pool": "tensor.signal.pool",
    "tensor.signal.downsample": "tensor.signal.downsample tensor.signal.pool",
    "tensor.signal.conv": "tensor.signal.conv",
    # -- graphs and compilation
    "gof": "+gof",
    "gof.graph": "+graph",
    "gof.op": "+gof",
    "gof.opt": "+gof",
    "gof.optdb": "+optdb",
    "gof.fg": "+gof",
    "gof.type": "+gof",
    "gof.toolbox": "+gof",
    "gof.utils": "+gof_utils",
    "gof.link": "+gof",
    "gof.params_type": "+gof",
    "gof.null_type": "+gof",
    "gof.cmodule": "+gof",
    "gof.cc": "+gof",
    "compile": "+compile",
    "compile.mode": "+compile +mode",
    "compile.function": "+compile",
    "compile.function_module": "+compile",
    "compile.io": "+compile",
    "compile.ops": "+compile",
    "compile.builders": "+compile",
    "compile.sharedvalue": "+compile",
    "compile.nanguardmode": "+nanguardmode",
    "compile.debugmode": "+debugmode",
    "compile.monitormode": "+monitormode",
    "compile.profiling": "+profiling",
    "compile.pfunc": "+compile",
    "gradient": "+gradient gradient",
    "ifelse": "ifelse",
    "scan_module": "+scan",
    "scan_module.scan": "+scan",
    "scan_module.scan_op": "+scan",
    "scan_module.scan_utils": "+scan",
    "scan_module.scan_views": "+scan",
    "scalar": "+scalar_ops +scalar",
    "scalar.basic": "+scalar_ops +scalar",
    "scalar.basic_scipy": "+scalar_ops +scalar",
    "updates": "+updates",
    "printing": "+printing",
    "d3viz": "+d3viz",
    "configparser": "+configuration",
    "configdefaults": "+configuration",
    "compat": "+python",
    "compat.six": "+python",
    "misc": "",
    "misc.pkl_utils": "+pkl_utils",
    "misc.safe_asarray": "+top",
    "misc.strutil": "+python",
    "typed_list": "+typed_list",
    "typed_list.basic": "+typed_list",
    "typed_list.type": "+typed_list",
    "sparse": "+sparse",
    "sparse.basic": "+sparse",
    "sparse.type": "+sparse",
    "sparse.sharedvar": "+sparse",
    "tests": "",
    "tests.unittest_tools": "+unittest_tools",
    "tests.breakpoint": "tensor.breakpoint",
    "version": "+version",
    # -- experiments and devices
    "sandbox": "",
    "sandbox.rng_mrg": "+rng_mrg",
    "sandbox.softsign": "tensor.nnet.activations",
    "sandbox.neighbours": "tensor.nnet.neighbours",
    "sandbox.linalg": "+slinalg tensor.nlinalg tensor.slinalg",
    "sandbox.linalg.ops": "+slinalg tensor.nlinalg tensor.slinalg tensor.diagonal",
    "sandbox.cuda": "+cuda",
    "sandbox.cuda.dnn": "+dnn",
    "sandbox.cuda.basic_ops": "+cuda",
    "sandbox.cuda.blas": "+cuda",
    "sandbox.cuda.rng_curand": "+rng_mrg",
    "sandbox.gpuarray": "+cuda",
    "gpuarray": "+cuda",
    "gpuarray.dnn": "+dnn",
    "gpuarray.basic_ops": "+cuda",
    "gpuarray.type": "+cuda",
}

_FOREIGN = {"typing", "__future__", "collections.abc", "types", "functools"}


class TheanoModule(ModuleType):
    """A module whose names are those of its sources, and of the modules below it."""

    def __init__(self, name: str) -> None:
        full = f"theano.{name}" if name else "theano"
        super().__init__(full, f"Theano's module {full}, as tinygraph has it.")
        children = {entry for entry in TABLE if entry and entry.rpartition(".")[0] == name}
        self.__dict__.update(
            _sources=[_full_name(s) for s in TABLE[name].split()],
            _children={child.rpartition(".")[2]: child for child in children},
            __path__=[],
            __file__=f"<tinygraph's {full}>",
            __package__=full,
            __spec__=ModuleSpec(full, None, is_package=True),
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            if name == "__all__":
                return self._public()
            raise AttributeError(name)
        value, found = self._lookup(name)
        if not found:
            raise AttributeError(
                f"{self.__name__} has no {name!r} in tinygraph; docs/from-theano.md lists what is left out"
            )
        self.__dict__[name] = value
        return value

    def _lookup(self, name: str) -> tuple[Any, bool]:
        child = self.__dict__["_children"].get(name)
        for source in self.__dict__["_sources"]:
            module = importlib.import_module(source)
            try:
                value = getattr(module, name)
            except AttributeError:
                continue
            if child is None or value is MODULES[child] or not isinstance(value, ModuleType):
                return value, True
        if child is not None:
            return MODULES[child], True
        return None, False

    def _public(self) -> list[str]:
        names = set(self.__dict__["_children"])
        for source in self.__dict__["_sources"]:
            module = importlib.import_module(source)
            names.update(getattr(module, "__all__", None) or _own_names(module))
        return sorted(names)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._public()})

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} of tinygraph.compat>"


def _full_name(source: str) -> str:
    return f"tinygraph.compat.theano.parts.{source[1:]}" if source[0] == "+" else f"tinygraph.{source}"


def _own_names(module: ModuleType) -> list[str]:
    """Public names of a module that does not say which they are."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) not in _FOREIGN
        and not (isinstance(value, ModuleType) and not value.__name__.startswith("tinygraph"))
    ]


MODULES: dict[str, TheanoModule] = {name: TheanoModule(name) for name in TABLE}


def publish(root: str) -> None:
    """Let ``import root.NAME`` find every module of the table; the root itself is left to the caller."""
    for name, module in MODULES.items():
        if name:
            sys.modules[f"{root}.{name}"] = module


def withdraw(root: str) -> None:
    """Take back what :func:`publish` did, and the root with it."""
    for name, module in MODULES.items():
        key = f"{root}.{name}" if name else root
        if sys.modules.get(key) is module:
            del sys.modules[key]
