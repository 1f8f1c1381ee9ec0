"""Compiled functions: checking arguments, finding the program for their shapes, and committing updates."""

from __future__ import annotations

import copy
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygraph.compile.caller import print_caller
from tinygraph.compile.io import In, Out
from tinygraph.compile.kept import Containers, subset
from tinygraph.compile.placement import announce, as_device_array
from tinygraph.compile.profiling import Profile
from tinygraph.config import config
from tinygraph.errors import DataError, InvalidValue, TinygraphError, TypeMismatch
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.shared import SharedVariable, guard_together
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import clone
from tinygraph.graph.variable import Variable
from tinygraph.lower.host import RuntimeSizes, print_host_function
from tinygraph.lower.lazy import enclose
from tinygraph.lower.specialise import Layout, specialise
from tinygraph.targets.registry import default_target
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
        cells: Sequence[SharedVariable | None] = (),
        optimised: bool = False,
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
        #: for each input the shared variable that holds its default value, if it has one
        self.cells = list(cells) or [None] * len(self.declared)
        #: the graph as given, kept where the passes will be checked or shown
        self.given = fgraph.clone() if hasattr(mode, "caller") or profile else None
        if not optimised:
            self._optimise(fgraph, mode, options)
            enclose(fgraph)
        self.fgraph = fgraph
        self.nodes = fgraph.toposort()
        self.shared = [v for v in fgraph.clients if isinstance(v, SharedVariable)]
        self.containers = [v.container for v in self.shared]
        self.targets = [v.container for v in self.updated]
        guard_together(self.targets)
        self._names = {d.name: i for i, d in enumerate(self.declared) if d.name is not None}
        self.sizes = RuntimeSizes(self.nodes, [*fgraph.inputs, *self.shared])
        self._has_runtime = bool(self.sizes.sizes)
        self._programs: OrderedDict[Any, Specialised] = OrderedDict()
        self._target = find_target(mode.target or getattr(options, "target", "") or default_target(options))
        #: the device that the function runs on; None for the CPU
        self.device = self._target.device(options) if hasattr(self._target, "device") else None
        if self.device is not None:
            announce(self.device, [*self.containers, *self.targets])
        self._call = mode.caller(self) if hasattr(mode, "caller") else print_caller(self)[1]
        self.compile_seconds = time.perf_counter() - started
        self.profile = self._start_profile(profile)

    def _start_profile(self, wanted: Any) -> Profile | None:
        """The profile that calls are added to: ``wanted`` itself if it is one, a new one if it is true."""
        if not wanted and not (wanted is None and getattr(self.options, "profile", False)):
            return None
        profile = wanted if isinstance(wanted, Profile) else Profile(self.name or "function")
        profile.compile_seconds += self.compile_seconds
        profile.passes += [(r.name, r.seconds) for r in self.fgraph.__dict__.get("reports", ())]
        call = self._call

        def timed(args: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(args)
            finally:
                profile.calls += 1
                profile.call_seconds += time.perf_counter() - begin

        self._call = timed
        return profile

    def report(self, file: Any) -> Any:
        """Write a page on this function: graph, passes, program, source, memory, profile (``printing.report``).

        Compiled with ``profile=True`` it also shows what each pass changed, and times.
        """
        from tinygraph.printing.report import report  # stands above the compiler

        return report(self, file)

    def _repr_svg_(self) -> str | None:
        from tinygraph.printing.notebook import svg_of

        return svg_of(self)

    def _repr_html_(self) -> str:
        from tinygraph.printing.notebook import html_of

        return html_of(self)

    def memory(self) -> dict[str, int]:
        """Bytes of temporary memory of the last program: its ``peak``, and the ``lower_bound`` no plan can go below."""
        plan = self._last().executable.plan
        return {"peak": plan.peak, "lower_bound": plan.lower_bound}

    def _last(self) -> Specialised:
        if not self._programs:
            raise TinygraphError("there is no program yet: programs are made at the first call with new shapes")
        return next(reversed(self._programs.values()))

    @staticmethod
    def _optimise(fgraph: FunctionGraph, mode: Any, options: Any) -> None:
        from tinygraph.passes.pipeline import optimise

        optimise(fgraph, mode, options)

    # -- calling --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs and "output_subset" in kwargs and "output_subset" not in self._names:
            wanted = kwargs.pop("output_subset")
            return subset(self(*args, **kwargs), wanted)
        if kwargs or len(args) != len(self.declared):
            args = tuple(self._arrange(args, kwargs))
        return self._call(args)

    def _fresh(self, k: int, shape: tuple[int, ...], dtype: str) -> Any:
        """Memory for the new value of updated variable ``k``: its previous buffer if nobody else sees that."""
        container = self.targets[k]
        spare, container.spare = container.spare, None
        if self.device is not None:
            ours = self.device.is_array(spare) and tuple(spare.shape) == shape and spare.dtype == dtype
            if ours and self.device.reusable(spare) and sys.getrefcount(spare) == 2:
                return spare
            return self.device.empty(shape, dtype)
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
        free = [i for i, d in enumerate(self.declared) if not d.implicit]
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
                cell = self.cells[i]
                if cell is None:
                    d = self.declared[i]
                    raise TypeMismatch(f"{name}: input {i} ({d.name or d.variable}) is missing ({self._signature()})")
                values[i] = cell.container.value
        return values

    def _explain(self, error: Exception, found: Specialised) -> None:
        """Add to an error from a running program which node it comes from, with shapes and the user's line."""
        failed_at = getattr(found.executable, "failed_at", None)
        source = failed_at(error) if failed_at is not None else None
        if source is not None and not any("  in " in note for note in getattr(error, "__notes__", ())):
            error.add_note(source.text())

    def _signature(self) -> str:
        return "inputs: " + ", ".join(f"{d.name or i}: {d.variable.type}" for i, d in enumerate(self.declared))

    def _check_one(self, i: int, x: Any) -> Any:
        """Argument ``i`` as its input's type wants it; TypeMismatch that names it otherwise."""
        d = self.declared[i]
        exact = _EXACT.get(type(x))
        if exact is not None and not d.strict and d.variable.type == exact:
            try:
                return np.array(x, exact.numpy_dtype)
            except OverflowError:
                pass  # an int beyond int64: refused below
        try:
            if self.device is not None and isinstance(d.variable.type, TensorType):
                ours = as_device_array(self.device, x, d.variable.type)
                if ours is not None:
                    return ours
            return d.variable.type.filter(x, strict=d.strict, allow_downcast=d.allow_downcast)
        except TypeError as error:
            raise TypeMismatch(
                f"{self.name or 'function'}: bad value for input {i} ({d.name or d.variable}): {error}"
                + (f"\n  declared at {d.variable.origin.text()}" if d.variable.origin else "")
            ) from None

    # -- programs -------------------------------------------------------------------------------------------------

    def _specialise(self, key: Any, inputs: Sequence[Any], shareds: Sequence[Any]) -> Specialised:
        started = time.perf_counter()
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
        program.profile = self.profile
        params = None
        if program.params:
            _, params = print_host_function([*fgraph.inputs, *self.shared], list(program.params.values()), "params")
        found = Specialised(program, self._target.compile(program, self.options), params)
        if self.profile is not None:
            self.profile.lower_seconds += time.perf_counter() - started
        self._programs[key] = found
        if len(self._programs) > _PROGRAMS:
            self._programs.popitem(last=False)
        return found

    # -- looking inside -------------------------------------------------------------------------------------------

    def source(self, *kind: str) -> str:
        """The code that the last program runs; call the function once before. For llvm ``source("asm")`` too."""
        return self._last().executable.source(*kind)

    def free(self) -> None:
        """Give back the memory kept between calls."""
        for s in self._programs.values():
            s.executable.free()

    @property
    def maker(self) -> Any:
        """Theano's way to reach the graph and the declarations: ``f.maker.fgraph``, ``f.maker.inputs``."""
        return self

    @property
    def inputs(self) -> list[In]:
        """The inputs as they were declared."""
        return list(self.declared)

    @property
    def outputs(self) -> list[Out]:
        """The outputs, as expressions of the optimised graph."""
        made = self.fgraph.outputs[: self.n_outputs]
        return [Out(v, borrow) for v, borrow in zip(made, self.borrowed, strict=True)]

    def get_shared(self) -> list[SharedVariable]:
        return list(self.shared)

    def __getitem__(self, item: Any) -> Any:
        """The default value of an input, or the value of a shared variable, by variable or name."""
        return self._state(item).get_value(borrow=True)

    def __setitem__(self, item: Any, value: Any) -> None:
        self._state(item).set_value(value)

    def __contains__(self, item: Any) -> bool:
        """Whether ``item``, a variable or its name, has a value that is kept between calls."""
        try:
            self._state(item)
        except KeyError:
            return False
        return True

    @property
    def value(self) -> CompiledFunction:
        """What is kept between calls, by variable or name: ``f.value[s]`` is ``f[s]``."""
        return self

    @property
    def container(self) -> Containers:
        """The containers of what is kept between calls: ``f.container[s].value``."""
        return Containers(self)

    def _state(self, item: Any) -> SharedVariable:
        for d, cell in zip(self.declared, self.cells, strict=True):
            if cell is not None and (item is d.variable or (isinstance(item, str) and item == d.name)):
                return cell
        for v in self.shared:
            if item is v or (isinstance(item, str) and item == v.name):
                return v
        raise KeyError(f"{item!r} is neither an input with a default value nor a shared variable of this function")

    # -- copies ---------------------------------------------------------------------------------------------------

    def copy(
        self,
        share_memory: bool = False,
        swap: Mapping[SharedVariable, SharedVariable] | None = None,
        delete_updates: bool = False,
        name: str | None = None,
        profile: Any = None,
    ) -> CompiledFunction:
        """Another function on the same optimised graph; nothing is compiled again.

        Parameters
        ----------
        share_memory : also use this function's programs and the memory they work in
        swap : shared variables to be replaced by others of the same type
        delete_updates : leave all updates out
        """
        swap = dict(swap or {})
        _check_swap(self, swap)
        graph = self.fgraph
        memo: dict[Variable, Variable] = {v: v for v in graph.inputs} | dict(swap)
        count = self.n_outputs if delete_updates else len(graph.outputs)
        outputs = clone(graph.outputs[:count], memo=memo)
        fgraph = FunctionGraph(graph.inputs, outputs, clone_graph=False)
        cells = [None if c is None else _copied(c) for c in self.cells]
        moved = {c: new for c, new in zip(self.cells, cells, strict=True) if c is not None and new is not None}
        updated: list[SharedVariable] = [] if delete_updates else [moved.get(v, swap.get(v, v)) for v in self.updated]
        new = CompiledFunction(
            fgraph, self.declared, self.n_outputs, updated, self.rebuild, self.borrowed, self.mode, self.options,
            name=name or self.name, profile=profile, cells=cells, optimised=True,
        )  # fmt: skip
        new.trust_input = self.trust_input
        if share_memory and not delete_updates and [swap.get(v, v) for v in self.shared] == new.shared:
            new._programs.update(self._programs)
        return new

    def __copy__(self) -> CompiledFunction:
        return self.copy()

    def __reduce__(self) -> Any:
        graph = self.fgraph
        return (
            _unpickled,
            (FORMAT, graph.inputs, graph.outputs, self.declared, self.n_outputs, self.updated, self.rebuild,
             self.borrowed, self.mode, self.name, self.cells, self.trust_input),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<compiled function {self.name or ''}({self._signature()})>"


#: the types that hold every value of a kind of Python number
_EXACT = {float: TensorType("float64", ()), int: TensorType("int64", ()), bool: TensorType("bool", ())}

#: version of what a pickled function consists of
FORMAT = 1


def _unpickled(
    version: int, inputs: Any, outputs: Any, declared: Any, n_outputs: int, updated: Any, rebuild: Any, borrowed: Any,
    mode: Any, name: Any, cells: Any, trust_input: bool,
) -> CompiledFunction:  # fmt: skip
    """A function from its pickled parts: the optimised graph is taken over, programs are made on first use."""
    if version != FORMAT:
        raise DataError(f"this function was saved in format {version}; this version of tinygraph reads format {FORMAT}")
    fgraph = FunctionGraph(inputs, outputs, clone_graph=False)
    f = CompiledFunction(fgraph, declared, n_outputs, updated, rebuild, borrowed, mode, config.freeze(), name=name,
                         cells=cells, optimised=True)  # fmt: skip
    f.trust_input = trust_input
    return f


def _check_swap(f: CompiledFunction, swap: Mapping[Any, Any]) -> None:
    for old, new in swap.items():
        if old not in f.shared:
            raise InvalidValue(f"copy: {old} is not a shared variable of {f.name or 'this function'}")
        if not isinstance(new, SharedVariable):
            raise TypeMismatch(f"copy: a shared variable can only be swapped for another, got {new!r}")
        if new.type != old.type:
            raise TypeMismatch(f"copy: {old} of type {old.type} cannot be swapped for {new} of type {new.type}")


def _copied(cell: SharedVariable) -> SharedVariable:
    return type(cell)(cell.type, copy.deepcopy(cell.container.value), cell.name)


def _layout(x: np.ndarray) -> Layout:
    if not isinstance(x, np.ndarray):  # an array on a device, or no array
        return Layout(tuple(x.shape) if hasattr(x, "shape") else ())
    if x.flags.c_contiguous:
        return Layout(x.shape)
    return Layout(x.shape, tuple(s // x.itemsize for s in x.strides))
