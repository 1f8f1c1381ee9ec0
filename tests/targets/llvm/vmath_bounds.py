"""``python -m tests.targets.llvm.vmath_bounds``: the vector mathematics' largest errors, as a Markdown table.

Every ``--stride``-th number of float32 (1: all of them) and a sample of float64, beside the bounds that tests hold.
``--only exp,log`` measures some of the functions; ``--page FILE`` writes the whole page.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from tests.targets.llvm import test_vmath as oracle
from tinygraph.targets.llvm import vmath

PAGE = """\
# Accuracy of the llvm target's functions

Written by `python -m tests.targets.llvm.vmath_bounds`. Errors in units in the last place, the largest over {what} of
float32 (nan, infinities, subnormal numbers and both zeros among them) and over a sample of float64 that covers every
exponent; for two arguments over a sample of pairs. Tests hold the bounds; the slow ones try every float32.
`lgamma` is measured for positive arguments: next to its zeros on the other side no formula in x is good to the last
places. Of `erfinv`'s float32 numbers, whose reference is slow, one in 256 of these is tried.

| function | float32 error | bound | float64 error | bound |
| --- | --- | --- | --- | --- |
"""


#: functions whose reference takes too long for every number: so many times the stride
COARSER = {"erfinv": 256}


def worst_float32(name: str, stride: int) -> float:
    """The largest error over every ``stride``-th float32."""
    reference, function = oracle.float32_oracle(name), oracle.compiled(name, np.float32)
    worst = 0.0
    for x in oracle.all_float32(stride * COARSER.get(name, 1) if stride > 1 else 1):
        if name == "lgamma":
            x = x[x > 0]
        if not len(x):
            continue
        with np.errstate(all="ignore"):
            want = np.asarray(reference(x.astype(np.float64)))
        worst = max(worst, float(oracle.ulp_error(function(x), want).max()))
    return worst


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
    single = worst_float32(name, stride) if function.arguments == 1 else worst_sampled(name, np.float32)
    double = worst_sampled(name, np.float64)
    return f"| {name} | {single:.2f} | {function.ulp32:g} | {double:.2f} | {function.ulp64:g} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stride", type=int, default=1, help="try every so many-th float32")
    parser.add_argument("--only", default="", help="names of functions, with commas")
    parser.add_argument("--page", help="write the page to this file")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(vmath.FUNCTIONS)
    what = "every number" if options.stride == 1 else f"every {options.stride}th number"
    lines = []
    for name in names:
        begin = time.perf_counter()
        lines.append(row(name, options.stride))
        print(lines[-1], f" ({time.perf_counter() - begin:.0f} s)", file=sys.stderr, flush=True)
    text = PAGE.format(what=what) + "\n".join(lines) + "\n"
    if options.page:
        with open(options.page, "w") as f:
            f.write(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
