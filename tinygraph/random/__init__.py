"""Counter-based random streams that draw the same bits on every target."""

from tinygraph.random.streams import (
    MRG_RandomStreams,
    PhiloxState,
    RandomStateSharedVariable,
    RandomStreams,
)

__all__ = ["MRG_RandomStreams", "PhiloxState", "RandomStateSharedVariable", "RandomStreams"]
