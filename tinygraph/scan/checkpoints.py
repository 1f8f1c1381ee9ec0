"""``scan_checkpoints``: a loop whose gradient needs memory for the square root of its steps.

The loop runs in chunks. Only the states between chunks are kept; the gradient runs each chunk again from the state
before it (T. Chen et al., "Training deep nets with sublinear memory cost", 2016, without the search for the best
places).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.scan import arguments
from tinygraph.scan.build import scan
from tinygraph.scan.ordered_updates import OrderedUpdates
from tinygraph.scan.returned import read_returned


def scan_checkpoints(
    fn: Callable[..., Any],
    sequences: Any = (),
    outputs_info: Any = None,
    non_sequences: Any = (),
    name: str = "checkpointscan_fn",
    n_steps: Any = None,
    save_every_N: int = 10,  # noqa: N803 - Theano's name
    padding: bool = True,
) -> tuple[Any, OrderedUpdates]:
    """``scan`` that keeps the outputs of every ``save_every_N``-th step only.

    Each output has ``ceil(n_steps / save_every_N)`` rows: those of steps N, 2N, ... and of the last one. Memory for the
    gradient grows with ``n_steps / N + N``: least, as its square root, for ``N`` about ``sqrt(n_steps)``.

    Parameters
    ----------
    sequences : plain tensors, without taps
    outputs_info : an initial value for every output (each is fed back, one step back)
    padding : False promises that the number of steps is a multiple of ``save_every_N``
    fn, non_sequences, n_steps : as for ``scan``

    Raises
    ------
    InvalidValue : taps, an output that is not fed back, ``until``, or an N below 1
    """
    label = f"scan_checkpoints {name!r}"
    if isinstance(save_every_N, bool) or not isinstance(save_every_N, int) or save_every_N < 1:
        raise InvalidValue(f"{label}: save_every_N must be a positive number of steps, got {save_every_N!r}")
    seqs = arguments.sequences_of(list(arguments.as_list(sequences)), label)
    if any(s.taps != (0,) for s in seqs):
        raise InvalidValue(f"{label}: sequences cannot have taps; use scan, or pass shifted sequences")
    infos = arguments.outputs_of(outputs_info, label)
    if not infos or any(i.taps != (-1,) for i in infos):
        raise InvalidValue(
            f"{label}: every output must be fed back, one step back; give outputs_info an initial value for each"
        )
    chunks = _Chunks(label, [s.input for s in seqs], n_steps, save_every_N, padding)
    extra = arguments.non_sequences_of(list(arguments.as_list(non_sequences)), label)
    n_states = len(infos)

    def chunk(*args: Any) -> Any:
        """One chunk: an inner loop from the state before it; ``real`` says which steps are no padding."""
        rows, states = args[: chunks.count], args[chunks.count : chunks.count + n_states]
        inner, updates = scan(
            lambda *a: chunks.step(fn, label, n_states, *a), sequences=list(rows), outputs_info=list(states),
            non_sequences=list(args[chunks.count + n_states :]), n_steps=save_every_N, name=f"{name} chunk",
            return_list=True,
        )  # fmt: skip
        return [x[-1] for x in inner], updates

    outputs, updates = scan(chunk, sequences=chunks.stacked(), outputs_info=[i.initial for i in infos],
                            non_sequences=extra, n_steps=chunks.n_chunks, name=name, recompute=True)  # fmt: skip
    return outputs, updates


class _Chunks:
    """The sequences cut into chunks of equal length, the last padded."""

    def __init__(self, label: str, seqs: list[Any], n_steps: Any, size: int, padding: bool):
        from tinygraph.tensor.basic import as_tensor_variable
        from tinygraph.tensor.maths import minimum
        from tinygraph.tensor.shape import shape_i

        steps, turned = arguments.steps_of(n_steps, label)
        if turned:
            raise InvalidValue(f"{label}: n_steps must not be negative")
        if steps is None:
            if not seqs:
                raise InvalidValue(
                    f"{label}: how many steps? There is no sequence to count; give n_steps, or a sequence"
                )
            steps = shape_i(seqs[0], 0)
            for s in seqs[1:]:
                steps = minimum(steps, shape_i(s, 0))
        self.steps: Any = as_tensor_variable(steps)
        self.seqs, self.size, self.padding = seqs, size, padding
        self.n_chunks = (self.steps + (size - 1)) // size if padding else self.steps // size
        #: sequences of the loop over chunks, the mask of real steps included
        self.count = len(seqs) + padding

    def stacked(self) -> list[Any]:
        """Each sequence with one row for each chunk."""
        from tinygraph.scan.pad import pad_rows
        from tinygraph.tensor.basic import constant
        from tinygraph.tensor.creation import arange
        from tinygraph.tensor.shape import reshape, shape_tuple

        total = self.n_chunks * self.size
        found = []
        for x in self.seqs:
            x = x[: self.steps]
            if self.padding:
                x = pad_rows(x, constant(0, dtype="int64"), total)
            found.append(reshape(x, (self.n_chunks, self.size, *shape_tuple(x)[1:]), ndim=x.type.ndim + 1))
        if self.padding:
            found.append(reshape(arange(total) < self.steps, (self.n_chunks, self.size), ndim=2))
        return found

    def step(self, fn: Callable[..., Any], label: str, n_states: int, *args: Any) -> Any:
        """The user's step; a padded one leaves states as they are."""
        from tinygraph.tensor.maths import switch

        n = len(self.seqs)
        rest = args[n + 1 :] if self.padding else args[n:]
        given = read_returned(fn(*args[:n], *rest), label)
        if given.condition is not None:
            raise InvalidValue(f"{label}: until() cannot end a loop that runs in chunks; use scan")
        if not self.padding:
            return given.outputs, given.updates
        real = args[n]
        outputs = [switch(real, new, old) for new, old in zip(given.outputs, rest[:n_states], strict=True)]
        return outputs, [(v, switch(real, new, v)) for v, new in given.updates]
