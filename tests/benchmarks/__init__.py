"""Measurements against PyTorch, JAX and PyTensor: ``make bench``."""
