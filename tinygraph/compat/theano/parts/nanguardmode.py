"""``theano.compile.nanguardmode``."""

from tinygraph.compat.theano.parts.native_mode import native

NanGuardMode = native(
    "NanGuardMode",
    ("compile.nanguardmode", "compile.debug", "compile.modes", "compile.mode"),
    "this version has no mode that looks for nan; wrap suspects in theano.printing.Print",
)
