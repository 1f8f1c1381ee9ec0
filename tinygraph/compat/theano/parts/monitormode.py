"""``theano.compile.monitormode``."""

from tinygraph.compat.theano.parts.native_mode import native

MonitorMode = native(
    "MonitorMode",
    ("compile.monitormode", "compile.debug", "compile.modes", "compile.mode"),
    "this version calls nothing before or after nodes; wrap variables in theano.printing.Print",
)
