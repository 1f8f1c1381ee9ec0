"""Runs CUDA C on the CPU: the same kernel sources, compiled by g++ against a header of CUDA's built-ins.

Threads of a block are fibers that run in a random order; buffers lie between protected pages; shared memory is
poisoned.  See ``emulator.py`` for the interface and ``README.md`` for what is and is not found.
"""

from .emulator import DeviceBuffer, Emulator, EmulatorError, Kernel, Module, missing_reason

__all__ = ["DeviceBuffer", "Emulator", "EmulatorError", "Kernel", "Module", "missing_reason"]
