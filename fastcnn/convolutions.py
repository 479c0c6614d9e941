"""The earlier name of `fastcnn.functional`, kept for one release."""

from fastcnn.functional import Convolution, conv2d, conv2d_dw, conv2d_dx

__all__ = ["Convolution", "conv2d", "conv2d_dw", "conv2d_dx"]
