"""``theano.updates``."""

from tinygraph.scan.ordered_updates import OrderedUpdates

Updates = OrderedUpdates

__all__ = ["OrderedUpdates", "Updates"]
