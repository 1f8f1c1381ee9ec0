"""``theano.compile.debugmode``."""

from tinygraph.compat.theano.parts.native_mode import native

DebugMode = native(
    "DebugMode",
    ("compile.debugmode", "compile.debug", "compile.modes", "compile.mode"),
    "this version has no such mode; tinygraph.config.check compares results before and after each pass",
)
