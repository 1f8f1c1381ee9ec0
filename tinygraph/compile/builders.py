"""``OpFromGraph``: an op made of a graph, with derivatives of its own if need be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import GradientError, MissingInputError, TypeMismatch
from tinygraph.gradient.forward import Rop
from tinygraph.gradient.reverse import Lop
from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.inner import InnerGraph
from tinygraph.graph.op import Apply, Op, is_disconnected
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.traversal import clone, explicit_inputs, graph_inputs
from tinygraph.graph.type import DisconnectedType
from tinygraph.graph.variable import Variable

#: stands for the derivative that follows from the graph
DEFAULT = "default"


class OpFromGraph(Op):
    """An op that computes ``outputs`` from ``inputs``, as often as it is applied.

    In a compiled function its graph takes its place, so that passes see through it; what stays is its derivative.

    Parameters
    ----------
    inputs, outputs : leaves and expressions of them. Shared variables need not be listed.
    inline : accepted for Theano's sake
    lop_overrides : reverse mode: a function ``(inputs, outputs, output_grads) -> input_grads``, an OpFromGraph on the
        same arguments, or a list with an entry for each input: such a function of one gradient, 'default', None (zero)
    grad_overrides : the same with functions ``(inputs, output_grads)``; only one of the two can be given
    rop_overrides : forward mode: a function ``(inputs, eval_points) -> output_tangents``, or a list with one entry for
        each output
    connection_pattern : ``[input][output]``, by default what the graph says

    Raises
    ------
    MissingInputError (a leaf is not listed), TypeMismatch

    Example
    -------
    >>> import tinygraph as tg
    >>> from tinygraph import tensor as T
    >>> x, y = T.dscalars("x", "y")
    >>> half_gradient = OpFromGraph([x, y], [x * y], grad_overrides=[lambda i, g: g[0] * i[1] / 2, "default"])
    >>> a, b = T.dscalars("a", "b")
    >>> [float(g.eval({a: 3.0, b: 4.0})) for g in tg.grad(half_gradient(a, b), [a, b])]
    [2.0, 3.0]
    """

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        inline: bool = False,
        lop_overrides: Any = DEFAULT,
        grad_overrides: Any = DEFAULT,
        rop_overrides: Any = DEFAULT,
        connection_pattern: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not isinstance(outputs, (list, tuple)) or not isinstance(inputs, (list, tuple)):
            raise TypeMismatch("OpFromGraph: inputs and outputs must be lists of variables")
        if lop_overrides is not DEFAULT and grad_overrides is not DEFAULT:
            raise GradientError("OpFromGraph: give lop_overrides or grad_overrides, not both")
        if kwargs:
            raise TypeMismatch(f"OpFromGraph: updates and givens are not supported, got {', '.join(kwargs)}")
        self.name = name
        self.inline = inline
        self._check_leaves(inputs, outputs)
        shared = [v for v in graph_inputs(outputs) if isinstance(v, SharedVariable) and v not in inputs]
        own = [v.type.make_variable(v.name) for v in (*inputs, *shared)]
        self.shared = shared  # passed on as further inputs of every node
        self.inner = InnerGraph(own, clone(list(outputs), memo=dict(zip((*inputs, *shared), own, strict=True))))
        self._lop, self._grad, self._rop = lop_overrides, grad_overrides, rop_overrides
        self._pattern = connection_pattern
        self._pullback: tuple[list[Variable], list[Variable | None]] | None = None

    def _check_leaves(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        for v in (*inputs, *outputs):
            if not isinstance(v, Variable):
                raise TypeMismatch(f"OpFromGraph: inputs and outputs must be symbolic variables, got {v!r}")
        for v in explicit_inputs(clone(list(outputs), replace={v: v.type.make_variable() for v in inputs})):
            if v.owner is None and any(v is leaf for leaf in graph_inputs(outputs)) and v not in inputs:
                raise MissingInputError(f"OpFromGraph: the variable {v} of type {v.type} is needed but is not an input")

    def __str__(self) -> str:
        return f"OpFromGraph{{{self.name}}}" if self.name else "OpFromGraph"

    @property
    def n_inputs(self) -> int:
        return len(self.inner.inputs) - len(self.shared)

    def make_node(self, *inputs: Any) -> Apply:
        if len(inputs) == len(self.inner.inputs):
            given = [as_variable(x) for x in inputs]
        elif len(inputs) == self.n_inputs:
            given = [*(as_variable(x) for x in inputs), *self.shared]
        else:
            raise TypeMismatch(f"{self}: expected {self.n_inputs} inputs, got {len(inputs)}")
        fitting = []
        for i, (v, own) in enumerate(zip(given, self.inner.inputs, strict=True)):
            try:
                fitting.append(own.type.filter_variable(v))
            except TypeError:
                raise TypeMismatch(f"{self}: input {i} must be {own.type}, got {v} of type {v.type}") from None
        outputs = [o.type.make_variable() for o in self.inner.outputs]
        return Apply(self, fitting, outputs)

    def expanded(self, node: Apply) -> list[Variable]:
        """The op's graph on the node's inputs."""
        return clone(self.inner.outputs, memo=dict(zip(self.inner.inputs, node.inputs, strict=True)))

    def infer(self, *inputs: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return self.inner.infer(inputs)

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Sequence[list[Any]]) -> None:
        for cell, value in zip(output_storage, self.inner.evaluate(inputs), strict=True):
            cell[0] = value

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        from tinygraph.lower.nested import lower_inner

        if self.inner.dynamic:
            return b.host_call(node, inputs)
        return lower_inner(b, self.inner, node, inputs)

    # -- derivatives ----------------------------------------------------------------------------------------------

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        if self._pattern is not None:
            given = self._pattern(node) if callable(self._pattern) else self._pattern
            return [list(row) for row in given] + [[True] * len(node.outputs) for _ in self.shared]
        found = self.inner.connected()
        overridden = self._lop if self._lop is not DEFAULT else self._grad
        if callable(overridden):
            return [[True] * len(node.outputs) for _ in node.inputs]
        if isinstance(overridden, (list, tuple)):
            found = [[True] * len(node.outputs) if callable(o) else row
                     for o, row in zip([*overridden, *[DEFAULT] * len(self.shared)], found, strict=True)]  # fmt: skip
        return found

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        n = self.n_inputs
        if self._lop is not DEFAULT:
            return self._overridden(self._lop, (inputs[:n], outputs, grads), inputs, grads, "lop_overrides")
        if self._grad is not DEFAULT:
            return self._overridden(self._grad, (inputs[:n], grads), inputs, grads, "grad_overrides")
        return self._derived(inputs, grads)

    def _derived(self, inputs: Any, grads: Any) -> list[Variable | None]:
        """The gradient that follows from the graph, on these inputs."""
        if self._pullback is None:
            starts = [o.type.make_variable() for o in self.inner.outputs]
            found = Lop(self.inner.outputs, self.inner.inputs, starts, disconnected_inputs="ignore")
            self._pullback = starts, [g if not is_disconnected(g) else None for g in found]
        starts, found = self._pullback
        memo = dict(zip([*self.inner.inputs, *starts], [*inputs, *grads], strict=True))
        made = iter(clone([g for g in found if g is not None], memo=memo))
        return [None if g is None else next(made) for g in found]

    def _overridden(self, given: Any, args: tuple, inputs: Any, grads: Any, what: str) -> list[Variable | None]:
        n = self.n_inputs
        if isinstance(given, OpFromGraph):
            flat = [v for part in args for v in part]
            given_op = given
            made = given_op(*flat, return_list=True)
            return [*made, *self._derived(inputs, grads)[n:]]
        if callable(given):
            made = given(*args)
            made = list(made) if isinstance(made, (list, tuple)) else [made]
        elif isinstance(given, (list, tuple)):
            made = []
            derived: list[Any] | None = None
            for k, one in enumerate(given):
                if one is DEFAULT or one == DEFAULT:
                    derived = self._derived(inputs, grads) if derived is None else derived
                    made.append(derived[k])
                else:
                    made.append(self._one(one, args, k, what))
        else:
            raise GradientError(f"{self}: {what} must be a function, an OpFromGraph or a list, got {given!r}")
        if len(made) != n:
            raise GradientError(f"{self}: {what} must give {n} gradients, got {len(made)}")
        return [*made, *(self._derived(inputs, grads)[n:] if self.shared else [])]

    def _one(self, one: Any, args: tuple, k: int, what: str) -> Any:
        from tinygraph.tensor.creation import zeros_like

        if one is None:
            return zeros_like(args[0][k])
        if callable(one) and not isinstance(one, Variable):
            return one(*args)
        if isinstance(one, Variable):
            return None if isinstance(one.type, DisconnectedType) else one
        raise GradientError(
            f"{self}: entry {k} of {what} must be a function, 'default', None or a variable, got {one!r}"
        )

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        n = self.n_inputs
        if self._rop is DEFAULT:
            return self._derived_forward(inputs, tangents)
        if callable(self._rop):
            made = self._rop(inputs[:n], tangents[:n])
            return list(made) if isinstance(made, (list, tuple)) else [made]
        derived = self._derived_forward(inputs, tangents) if DEFAULT in self._rop else [None] * len(outputs)
        return [derived[k] if one == DEFAULT else None if one is None else one(inputs[:n], tangents[:n])
                for k, one in enumerate(self._rop)]  # fmt: skip

    def _derived_forward(self, inputs: Any, tangents: Any) -> list[Variable | None]:
        moving = [k for k, t in enumerate(tangents) if t is not None]
        found = clone(self.inner.outputs, memo=dict(zip(self.inner.inputs, inputs, strict=True)))
        return Rop(found, [inputs[k] for k in moving], [tangents[k] for k in moving], "ignore", "none")


def expand(fgraph: FunctionGraph) -> None:
    """Put the graphs of all ``OpFromGraph`` nodes in their place, those inside them included."""
    while True:
        found = [n for n in fgraph.toposort() if isinstance(n.op, OpFromGraph)]
        if not found:
            return
        for node in found:
            if node in fgraph.graph:
                made = node.op.expanded(node)  # type: ignore[attr-defined]
                fgraph.replace_all(zip(node.outputs, made, strict=True), reason="expand")
