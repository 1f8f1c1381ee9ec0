"""Names of ``theano.tensor.nnet.abstract_conv`` beside the native ones."""

from tinygraph.tensor.nnet.upsampling import bilinear_kernel_1D, bilinear_kernel_2D, bilinear_upsampling

__all__ = ["bilinear_kernel_1D", "bilinear_kernel_2D", "bilinear_upsampling"]
