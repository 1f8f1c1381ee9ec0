"""A printed kernel: its text under a name made from that text, its arguments, and how it is launched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygraph.targets.cuda import kernels
from tinygraph.targets.cuda.writer import Parameters, Scratch

#: stands for the name while the text is printed
NAME = "kernel_name"


@dataclass(frozen=True)
class Tuning:
    """What launches depend on beside the work itself: ``blocks`` that fill the device, ``threads`` of a usual block."""

    blocks: int
    threads: int
    deterministic: bool = False
    factors: str = ""  # what factors of float32 products may be rounded to: "tf32" or "bf16"
    integers: tuple[str, ...] = ()  # the program's host integers, in order


@dataclass
class Kernel:
    """``text`` defines the function ``name``; ``arguments`` are what ``writer.Parameters`` collects, and numbers."""

    name: str
    text: str
    arguments: list[Any]
    grid: tuple[int, ...]
    block: tuple[int, ...]


def printed(kind: str, template: str, p: Parameters, first: Sequence[Any], grid: tuple[int, ...],
            block: tuple[int, ...], entry: str = "", **values: object) -> Kernel:  # fmt: skip
    """The kernel that ``template`` makes of ``values``; ``first`` are the template's own leading arguments.

    ``entry``: what the template appends to the name of the function to launch.
    """
    text = kernels.render(template, expanded=False, name=NAME, **values)
    text = "\n".join(line for line in text.split("\n") if not line.startswith("//") and line.strip()) + "\n"
    name = f"{kind}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return Kernel(name + entry, text.replace(NAME, name), [*first, *p.values], grid, block)


def covering(size: int, per_block: int, tuning: Tuning, waves: int = 16) -> tuple[int]:
    """A grid for a grid-stride loop: enough blocks for ``size`` threads' work, but at most a few rounds of them."""
    return (max(1, min(-(-size // per_block), tuning.blocks * waves)),)


def flat_launch(size: int, tuning: Tuning) -> tuple[tuple[int], tuple[int]]:
    """Grid and block for one thread per element."""
    return covering(size, tuning.threads, tuning), (tuning.threads,)


def assembled(texts: Sequence[str]) -> str:
    """One source of several kernels, as it is shown: each include once, and not yet replaced."""
    includes = ['#include "generated.cuh"']
    bodies = []
    for text in texts:
        lines = text.split("\n")
        includes += [x for x in lines if x.startswith("#include") and x not in includes]
        bodies.append("\n".join(x for x in lines if not x.startswith("#include")).lstrip("\n"))
    covered = {'#include "philox.cuh"', '#include "index.cuh"', '#include "block.cuh"', '#include "atomics.cuh"'}
    return "\n".join(x for x in includes if x not in covered) + "\n\n" + "\n".join(bodies)


__all__ = ["NAME", "Kernel", "Scratch", "Tuning", "assembled", "covering", "flat_launch", "printed"]
