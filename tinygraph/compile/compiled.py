"""Compiled functions: checking arguments, finding the program for their shapes, and committing updates."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.compile.caller import print_caller
from tinygraph.compile.io import In
from tinygraph.errors import TinygraphError, TypeMismatch
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.variable import Variable
from tinygraph.lower.host import RuntimeSizes, print_host_function
from tinygraph.lower.specialise import Layout, specialise
from tinygraph.targets.registry import target as find_target

#: programs kept by a function, for so many different sets of shapes
_PROGRAMS = 64


class Specialised:
    """A program for one set of shapes, ready to run."""

    __slots__ = ("executable", "params", "program", "run")

    def __init__(self, program: Any, executable: Any, params: Callable[..., tuple] | None):
        self.program = program
        self.executable = executable
        self.params = params  # computes the program's host integers, if it has any
        self.run = executable.call


class CompiledFunction:
    """The result of ``function``. Call it with one argument for each input, by position or by name.

    Attributes: ``trust_input`` (skip the checks of arguments: they must be arrays of the right dtype and rank),
    ``fgraph`` (the optimised graph), ``name``.
    """

    def __init__(
        self,
        fgraph: FunctionGraph,
        inputs: Sequence[In],
        n_outputs: int,
        updated: Sequence[SharedVariable],
        rebuild: Any,
        borrowed: Sequence[bool],
        mode: Any,
        options: Any,
        name: str | None = None,
        profile: Any = None,
        stored: dict[Variable, SharedVariable] | None = None,
    ):
        started = time.perf_counter()
        self.name = name
        self.mode = mode
        self.options = options
        self.declared = list(inputs)
        self.rebuild = rebuild
        self.borrowed = list(borrowed)
        self.updated = list(updated)
        self.n_outputs = n_outputs
        self.trust_input = False
        self.stored = stored or {}
        self.defaults = [d.value for d in inputs]
        self._optimise(fgraph, mode, options)
        self.fgraph = fgraph
        self.nodes = fgraph.toposort()
        self.shared = [v for v in fgraph.clients if isinstance(v, SharedVariable)]
        self.containers = [v.container for v in self.shared]
        self.targets = [v.container for v in self.updated]
        self._names = {d.name: i for i, d in enumerate(self.declared) if d.name is not None}
        self.sizes = RuntimeSizes(self.nodes, [*fgraph.inputs, *self.shared])
        self._has_runtime = bool(self.sizes.sizes)
        self._programs: OrderedDict[Any, Specialised] = OrderedDict()
        self._target = find_target(mode.target or getattr(options, "target", "") or "numpy")
        self._call = print_caller(self)[1]
        self.compile_seconds = time.perf_counter() - started

    @staticmethod
    def _optimise(fgraph: FunctionGraph, mode: Any, options: Any) -> None:
        from tinygraph.passes.pipeline import optimise

        optimise(fgraph, mode, options)

    # -- calling --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(self.declared):
            args = tuple(self._arrange(args, kwargs))
        return self._call(args)

    def _fresh(self, k: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Memory for the new value of updated variable ``k``: its previous buffer if nobody else sees that."""
        container = self.targets[k]
        spare, container.spare = container.spare, None
        if (
            type(spare) is np.ndarray
            and spare.shape == shape
            and spare.dtype == dtype
            and spare.flags.c_contiguous
            and spare.flags.owndata
            and spare.flags.writeable
            and sys.getrefcount(spare) == 2
        ):
            return spare
        return np.empty(shape, dtype)

    def _arrange(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """Arguments in order, from positions, names and defaults."""
        name = self.name or "the function"
        free = [i for i, d in enumerate(self.declared) if not (d.implicit and d.value is not None)]
        if len(args) > len(free):
            raise TypeMismatch(f"{name} takes {len(free)} arguments ({self._signature()}), got {len(args)}")
        missing = object()
        values: list[Any] = [missing] * len(self.declared)
        for i, a in zip(free, args, strict=False):
            values[i] = a
        for key, a in kwargs.items():
            if key not in self._names:
                raise TypeMismatch(f"{name} has no input named {key!r} ({self._signature()})")
            i = self._names[key]
            if values[i] is not missing:
                raise TypeMismatch(f"{name}: input {key!r} is given twice")
            values[i] = a
        for i, v in enumerate(values):
            if v is missing:
                if self.defaults[i] is None:
                    raise TypeMismatch(f"{name}: input {i} ({self.declared[i].name}) is missing ({self._signature()})")
                default = self.defaults[i]
                values[i] = self.declared[i].variable.type.filter(getattr(default, "value", default))
        return values

    def _signature(self) -> str:
        return "inputs: " + ", ".join(f"{d.name or i}: {d.variable.type}" for i, d in enumerate(self.declared))

    def _check_one(self, i: int, x: Any) -> Any:
        """Argument ``i`` as its input's type wants it; TypeMismatch that names it otherwise."""
        d = self.declared[i]
        try:
            return d.variable.type.filter(x, strict=d.strict, allow_downcast=d.allow_downcast)
        except TypeError as error:
            raise TypeMismatch(
                f"{self.name or 'function'}: bad value for input {i} ({d.name or d.variable}): {error}"
                + (f"\n  declared at {d.variable.origin.text()}" if d.variable.origin else "")
            ) from None

    # -- programs -------------------------------------------------------------------------------------------------

    def _specialise(self, key: Any, inputs: Sequence[Any], shareds: Sequence[Any]) -> Specialised:
        args = [*inputs, *shareds]
        layouts = [_layout(x) for x in args]
        runtime = self.sizes.resolve(self.sizes.key(args)) if self._has_runtime else {}
        fgraph = self.fgraph
        program = specialise(
            self.name or "function",
            self.nodes,
            fgraph.inputs,
            self.shared,
            fgraph.outputs[: self.n_outputs],
            fgraph.outputs[self.n_outputs :],
            layouts,
            runtime,
            self.borrowed,
        )
        params = None
        if program.params:
            _, params = print_host_function([*fgraph.inputs, *self.shared], list(program.params.values()), "params")
        found = Specialised(program, self._target.compile(program, self.options), params)
        self._programs[key] = found
        if len(self._programs) > _PROGRAMS:
            self._programs.popitem(last=False)
        return found

    # -- looking inside -------------------------------------------------------------------------------------------

    def source(self) -> str:
        """The code that the last compiled program runs; call the function once before."""
        if not self._programs:
            raise TinygraphError("nothing is printed yet: programs are made at the first call with new shapes")
        return next(reversed(self._programs.values())).executable.source()

    def free(self) -> None:
        """Give back the memory kept between calls."""
        for s in self._programs.values():
            s.executable.free()

    @property
    def maker(self) -> Any:
        """Theano's way to reach the graph: ``f.maker.fgraph``."""
        return self

    def get_shared(self) -> list[SharedVariable]:
        return list(self.shared)

    def __getitem__(self, item: Any) -> Any:
        return self._state(item).get_value(borrow=True)

    def __setitem__(self, item: Any, value: Any) -> None:
        self._state(item).set_value(value)

    def _state(self, item: Any) -> SharedVariable:
        """The stored input or shared variable called ``item`` (a name or a variable)."""
        for variable, state in self.stored.items():
            if item is variable or item == state.name:
                return state
        for v in self.shared:
            if item is v or (isinstance(item, str) and item == v.name):
                return v
        raise KeyError(f"{item!r} is neither a stored input nor a shared variable of this function")

    def __repr__(self) -> str:
        return f"<compiled function {self.name or ''}({self._signature()})>"


def _layout(x: np.ndarray) -> Layout:
    if not isinstance(x, np.ndarray):
        return Layout(())
    if x.flags.c_contiguous:
        return Layout(x.shape)
    return Layout(x.shape, tuple(s // x.itemsize for s in x.strides))
