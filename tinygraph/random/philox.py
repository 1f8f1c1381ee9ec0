"""Philox-4x32-10 over NumPy: the random words of a draw, many at a time.

A draw of ``n`` elements from a stream with key ``(k0, k1)`` at 64-bit counter ``ctr`` is laid out in chunks of 128, so
that 32 lanes of a vector unit each give four words: element ``i`` lies in chunk ``c = i // 128``, in word
``w = (i % 128) // 32`` of lane ``l = i % 32``, and is output ``w`` of Philox at counter ``(lo, hi, 0, 0)``, the halves
of ``ctr + 32 c + l``. Every target draws these words. A draw moves the counter on by ``32 * ceil(n / 128)``.

Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np

#: multipliers and key increments of the paper
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF
#: elements of a chunk, counter values that it takes
CHUNK, LANES = 128, 32

#: counters computed together: four such arrays of uint64 stay in the second-level cache
_BLOCK = 16384
_SHIFT = np.array(32, "uint64")
_MASK = np.array(MASK, "uint64")
_TIMES = tuple(np.array(m, "uint64") for m in MULTIPLIERS)
_RAMP = np.arange(_BLOCK, dtype="uint64") * _TIMES[0]

_memory = threading.local()
Keys = tuple[tuple[np.ndarray, np.ndarray], ...]


@lru_cache(maxsize=256)
def round_keys(key0: int, key1: int) -> Keys:
    """Both key words of each round, as arrays without dimensions, which ufuncs take faster than numbers."""
    return tuple(
        (np.array((key0 + r * WEYL[0]) & MASK, "uint64"), np.array((key1 + r * WEYL[1]) & MASK, "uint64"))
        for r in range(ROUNDS)
    )


def counters_for(n: int) -> int:
    """Counter values that a draw of ``n`` elements takes."""
    return LANES * -(-n // CHUNK)


def draw(key0: int, key1: int, counter: int, n: int) -> np.ndarray:
    """The ``n`` words of a draw, uint32."""
    out = np.empty(n, "uint32")
    fill(key0, key1, counter, 0, out)
    return out


def fill(key0: Any, key1: Any, counter: Any, start: int, out: np.ndarray) -> None:
    """Words ``start`` .. ``start + out.size`` of a draw into the contiguous vector ``out``."""
    n = out.size
    if n == 0:
        return
    keys = round_keys(int(key0), int(key1))
    chunk, last = start // CHUNK, -(-(start + n) // CHUNK)
    while chunk < last:
        count = min(last - chunk, _BLOCK // LANES)
        begin, end = chunk * CHUNK - start, (chunk + count) * CHUNK - start
        if begin >= 0 and end <= n:
            _chunks(keys, int(counter) + LANES * chunk, out[begin:end].reshape(-1, 4, LANES))
        else:  # chunks that stick out at either end are made beside
            words = np.empty((count, 4, LANES), "uint32")
            _chunks(keys, int(counter) + LANES * chunk, words)
            out[max(begin, 0) : min(end, n)] = words.reshape(-1)[max(-begin, 0) : n - begin]
        chunk += count


def _chunks(keys: Keys, counter: int, out: np.ndarray) -> None:
    """Fill ``out``, of shape (at most a block of chunks, 4, 32), from consecutive counters."""
    done, chunks = 0, len(out)
    while done < chunks:
        at = (counter + LANES * done) & 0xFFFFFFFFFFFFFFFF
        count = min(chunks - done, (MASK + 1 - (at & MASK)) // LANES)
        if count:
            _block(keys, at & MASK, at >> 32, out[done : done + count])
        else:  # the low half wraps inside this chunk
            count = 1
            n = np.array(at, "uint64") + np.arange(LANES, dtype="uint64")
            out[done] = np.array(words_at(n & _MASK, n >> _SHIFT, keys))
        done += count


def _block(keys: Keys, low: int, high: int, out: np.ndarray) -> None:
    """As ``_chunks``, for counters whose high half is the same and that fit one block.

    A round takes ``(c0, c1, c2, c3)`` to ``(hi(B) ^ c1 ^ k0, lo(B), hi(A) ^ c3 ^ k1, lo(A))`` with ``A = M0 c0``,
    ``B = M1 c2``, and c1, c3 are the low halves of the round before. So two rounds of products are all the state
    there is, and ``hi(x) ^ lo(y)`` is ``(x ^ (y << 32)) >> 32``: five passes over memory for each pair.
    """
    m = out.shape[0] * LANES
    memory = getattr(_memory, "blocks", None)
    if memory is None:
        memory = _memory.blocks = np.empty((2, 2 * _BLOCK), "uint64")
    # ``cur`` holds the products of the last round, ``prev`` those of the round before: both halves, A and B
    cur, prev = _Halves(memory[0, : 2 * m]), _Halves(memory[1, : 2 * m])
    first = MULTIPLIERS[0] * (high ^ int(keys[0][0]))  # A of the second round is the same in every lane
    # The first rounds start from c1 = high, c2 = c3 = 0 and need less.
    np.add(_RAMP[:m], np.array(MULTIPLIERS[0] * low & 0xFFFFFFFFFFFFFFFF, "uint64"), prev.a)
    np.right_shift(prev.a, _SHIFT, cur.b)
    np.bitwise_xor(cur.b, keys[0][1], cur.b)
    np.multiply(cur.b, _TIMES[1], cur.b)
    cur.a.fill(first)
    np.bitwise_and(prev.a, _MASK, prev.a)
    np.bitwise_xor(prev.a, np.array((first >> 32) ^ int(keys[1][1]), "uint64"), prev.a)
    np.right_shift(cur.b, _SHIFT, prev.b)
    np.bitwise_xor(prev.b, keys[1][0], prev.b)
    prev.multiply()
    for r in range(2, ROUNDS):
        cur, prev = prev, cur
        prev.mix(cur, keys[r])
        if r < ROUNDS - 1:
            prev.multiply()
    for word, x in enumerate((prev.b, cur.b, prev.a, cur.a)):
        np.copyto(out[:, word, :], x.reshape(-1, LANES), "unsafe")  # the cast keeps the low half


class _Halves:
    """The products A and B of one round, side by side in memory; rounds are made in place."""

    __slots__ = ("a", "b", "both", "swapped")

    def __init__(self, both: np.ndarray):
        m = both.size // 2
        self.both = both
        self.b, self.a = both[:m], both[m:]
        self.swapped = False  # A lies first

    def mix(self, last: _Halves, keys: tuple[np.ndarray, np.ndarray]) -> None:
        """The next round's ``c0`` where B was, and its ``c2`` where A was: ``hi(last) ^ lo(self) ^ key``."""
        np.left_shift(self.both, _SHIFT, self.both)
        if last.swapped == self.swapped:
            np.bitwise_xor(self.both, last.both, self.both)
        else:
            np.bitwise_xor(self.b, last.b, self.b)
            np.bitwise_xor(self.a, last.a, self.a)
        np.right_shift(self.both, _SHIFT, self.both)
        np.bitwise_xor(self.b, keys[0], self.b)
        np.bitwise_xor(self.a, keys[1], self.a)

    def multiply(self) -> None:
        """A of the next round from ``c0``, in B's place, and B from ``c2``, in A's."""
        np.multiply(self.b, _TIMES[0], self.b)
        np.multiply(self.a, _TIMES[1], self.a)
        self.a, self.b = self.b, self.a
        self.swapped = not self.swapped


def words_at(low: np.ndarray, high: np.ndarray, keys: Keys) -> tuple[np.ndarray, ...]:
    """The four output words at counters ``(low, high, 0, 0)``, as the paper writes the rounds (uint64 arrays)."""
    c0, c1 = low, high
    c2 = c3 = np.zeros_like(low)
    m0, m1 = _TIMES
    for k0, k1 in keys:
        a, b = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (b >> _SHIFT) ^ c1 ^ k0, b & _MASK, (a >> _SHIFT) ^ c3 ^ k1, a & _MASK
    return c0, c1, c2, c3


def at(key0: Any, key1: Any, counter: Any, index: Any) -> np.ndarray:
    """The words of single elements ``index`` (an integer array) of a draw, uint32."""
    i = np.asarray(index, "int64")
    keys = round_keys(int(key0), int(key1))
    n = np.asarray(int(counter), "uint64") + ((i // CHUNK) * LANES + i % LANES).astype("uint64")
    words = words_at(n & _MASK, n >> _SHIFT, keys)
    w = i % CHUNK // LANES
    out = np.empty(i.shape, "uint32")
    for k in range(4):
        np.copyto(out, words[k], "unsafe", where=w == k)
    return out


def fill_strided(key0: Any, key1: Any, counter: Any, start: int, step: int, out: np.ndarray) -> None:
    """Words ``start``, ``start + step`` ... of a draw into ``out``, an array of any layout, in C order.

    Calls that take turns among the words of one range, as those for numbers of two words each do, share the work.
    """
    key0, key1, counter = (int(x.item()) if hasattr(x, "item") else int(x) for x in (key0, key1, counter))
    if step == 1 and out.flags.c_contiguous:
        fill(key0, key1, counter, start, out.reshape(-1))
        return
    first = start - start % step
    size = out.size * step
    made = (key0, key1, counter, first, size)
    last = getattr(_memory, "last", None)
    if last is None or last[0] != made:
        words = np.empty(size, "uint32")
        fill(key0, key1, counter, first, words)
        last = (made, words)
        _memory.last = last if size <= _BLOCK * 16 else None
    out[...] = last[1][start - first :: step].reshape(out.shape)


def fill_at(key0: Any, key1: Any, counter: Any, index: Any, out: np.ndarray) -> None:
    """The words of elements ``index`` into ``out``."""
    key0, key1, counter = (int(x.item()) if hasattr(x, "item") else int(x) for x in (key0, key1, counter))
    out[...] = at(key0, key1, counter, index)
