"""Pooling and convolution of signals, under Theano's names."""

from tinygraph.tensor.signal import conv, downsample, pool

__all__ = ["conv", "downsample", "pool"]
