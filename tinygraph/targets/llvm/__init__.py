"""The LLVM target: Programs as native code for the CPU at hand. Needs the ``jit`` extra (llvmlite)."""
