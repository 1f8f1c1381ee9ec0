"""``python -m tests.targets.llvm.vmath_bounds``: the vector mathematics' largest errors, as a Markdown table.

Every ``--stride``-th number of float32 (1, as it is unless told: all of them) and a sample of float64, beside the
bounds that tests hold. ``--only exp,log`` measures some of the functions. ``--page FILE`` writes each line as it is
measured into the table of that page, and leaves the others as they are.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time
from pathlib import Path

import numpy as np

from tests.targets.llvm import test_vmath as oracle
from tinygraph.targets.llvm import vmath

PAGE = """\
# Accuracy of the llvm target's functions

Written by `python -m tests.targets.llvm.vmath_bounds --page docs/accuracy.md`. Errors in units in the last place: the
largest over the numbers of float32 that the third column names (nan, infinities, subnormal numbers and both zeros among
them), against a reference in float64, and over a sample of float64 that covers every exponent, against extended
precision; for two arguments over a sample of pairs. Tests hold the bounds, over samples in each run and over every
float32 in the slow one: `python -m pytest tests/targets/llvm/test_every_float32.py`.
`lgamma` is measured for positive arguments: next to its zeros on the other side no formula in x is good to the last
places.

| function | float32 error | of float32 | bound | float64 error | bound |
| --- | --- | --- | --- | --- | --- |
"""


def worst_float32(name: str, stride: int = 1) -> float:
    """The largest error over every ``stride``-th float32, in units in the last place.

    Only what may be worse than the worst so far is measured exactly: results whose distance from the rounded reference,
    counted in floating-point numbers, says that they are not are left out, and these are nearly all.
    """
    reference, function = oracle.float32_oracle(name), oracle.compiled(name, np.float32)
    worst = 0.5  # what rounding alone may cost
    first = oracle.sample(np.float32, 60_000, seed=1)  # so that most of the others are left out
    for x in itertools.chain([first], oracle.all_float32(stride)):
        if name == "lgamma":
            x = x[x > 0]
        if not len(x):
            continue
        with np.errstate(all="ignore"):
            want = np.asarray(reference(x.astype(np.float64)))
            got = function(x)
            open_ = may_exceed(worst, got, want.astype(np.float32))
        if open_.any():
            worst = max(worst, float(oracle.ulp_error(got[open_], want[open_]).max()))
    return worst


def may_exceed(worst: float, got: np.ndarray, rounded: np.ndarray) -> np.ndarray:
    """Where a result's error may be above ``worst`` (at least 0.5) units, given the reference rounded to float32.

    A result ``d`` numbers away is at most ``d + 0.5`` units off, but next to powers of two, where units change. Where the
    signs differ the distance comes out large.
    """
    steps = int(worst - 0.5)
    bits = rounded.view(np.uint32)
    far = got.view(np.uint32) - bits + np.uint32(steps) > np.uint32(2 * steps)
    far |= (bits + np.uint32(steps + 2)) & np.uint32(2**23 - 1) <= np.uint32(2 * steps + 4)
    return far & ~((got == rounded) & (np.abs(got) == np.inf)) & ~(np.isnan(got) & np.isnan(rounded))


def worst_sampled(name: str, dtype: type) -> float:
    """The largest error over a sample of a format's numbers, or of pairs of them."""
    count = vmath.FUNCTIONS[name].arguments
    size = 3_000 if name in oracle.SLOW_ORACLE else 120_000
    arrays = [np.random.default_rng(k).permutation(oracle.sample(dtype, size, seed=11 + k)) for k in range(count)]
    if name == "lgamma":
        arrays = [a[a > 0] for a in arrays]
    with np.errstate(all="ignore"):
        want = oracle.ORACLE[name](*(a.astype(oracle.EXTENDED) for a in arrays))
    return float(oracle.ulp_error(oracle.compiled(name, dtype)(*arrays), want).max())


def row(name: str, stride: int) -> str:
    """The function's line of the table."""
    function = vmath.FUNCTIONS[name]
    if function.arguments == 1:
        single, tried = worst_float32(name, stride), "all" if stride == 1 else f"one in {stride}"
    else:
        single, tried = worst_sampled(name, np.float32), "pairs"
    double = worst_sampled(name, np.float64)
    return f"| {name} | {single:.2f} | {tried} | {function.ulp32:g} | {double:.2f} | {function.ulp64:g} |"


def with_rows(page: str, new: dict[str, str]) -> str:
    """The page with these lines in place of the same functions' earlier ones, in the order of the functions."""
    old = {found[1]: found[0] for found in re.finditer(r"^\| (\w+) \|(?: [^|]+ \|){5}$", page, re.MULTILINE)}
    rows = old | new
    return PAGE + "".join(rows[name] + "\n" for name in vmath.FUNCTIONS if name in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stride", type=int, default=1, help="try every so many-th float32")
    parser.add_argument("--only", default="", help="names of functions, with commas")
    parser.add_argument("--page", type=Path, help="write the lines into this page")
    options = parser.parse_args()
    if not options.page:
        print(PAGE, end="")
    for name in options.only.split(",") if options.only else vmath.FUNCTIONS:
        begin = time.perf_counter()
        line = row(name, options.stride)
        print(line, flush=True)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
        if options.page:
            page = options.page.read_text() if options.page.exists() else ""
            options.page.write_text(with_rows(page, {name: line}))


if __name__ == "__main__":
    main()
