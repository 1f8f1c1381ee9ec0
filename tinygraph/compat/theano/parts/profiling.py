"""``theano.compile.profiling``."""

from tinygraph.compat.theano.parts.native_mode import native

ProfileStats = native(
    "ProfileStats",
    ("compile.profiling", "compile.profile", "printing.profile"),
    "this version keeps no statistics of calls; measure with time.perf_counter around the call",
)
