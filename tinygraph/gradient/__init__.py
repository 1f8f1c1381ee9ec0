"""Differentiation of expression graphs."""

from tinygraph.gradient.numeric import numeric_grad
from tinygraph.gradient.reverse import Lop, grad
from tinygraph.gradient.verify import VerifyGradError, verify_grad

__all__ = ["Lop", "VerifyGradError", "grad", "numeric_grad", "verify_grad"]
