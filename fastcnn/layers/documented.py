"""What the docstring of every layer says."""

from __future__ import annotations

from fastcnn.utils.docstrings import described_by

documented = described_by("""A layer.

Args:
    kernel_size: The kernel's (height, width) in pixels, or one integer for both.
    pool_size: The window's (height, width) in pixels, or one integer for both.
    strides: Steps of the window in pixels, (rows, columns) or one integer for both.
    padding: "valid" (none), "same" (TensorFlow's rule), or pixels: an integer, (rows, columns) or
        ((top, bottom), (left, right)).
    padding_mode: What `padding` puts around the image: "zeros", "edge" (the outermost pixels again)
        or "reflect" (the pixels mirrored at the outermost, which are not repeated).
    dilation_rate: Pixels from one entry of the kernel to the next, (rows, columns) or one integer.
    groups: Into how many groups channels and filters are divided; each filter sees one group's
        channels.
    depth_multiplier: The number of kernels of each channel, at least 1.
    ceil_mode: Whether the last pixels get a window of their own where the strides do not fit, as in
        Caffe and PyTorch: OH rounds up. It begins inside the image or the padding before it, and is
        cut at the image's end.
    keepdims: Whether height and width stay, as 1.
    rate: The fraction that is zeroed, at least 0 and below 1.
    activation: A name such as "relu" (see `Activation`), applied to the output; None for none.
    use_bias: Whether a bias is added.
    kernel_initializer: What the kernel begins with, a name, a class, a {"class_name", "config"} or
        an object of `fastcnn.initializers`.
    bias_initializer: What the bias begins with, likewise.
    kernel_regularizer: The penalty of the kernel, likewise of `fastcnn.regularizers`; None for
        none.
    bias_regularizer: The penalty of the bias, likewise of `fastcnn.regularizers`; None for none.
    epsilon: Added to the variance, above 0.
    center: Whether beta is learnt and added.
    scale: Whether gamma is learnt and multiplied by.
    beta_initializer: What beta begins with, a name, a class, a {"class_name", "config"} or an
        object of `fastcnn.initializers`.
    gamma_initializer: What gamma begins with, likewise.
    beta_regularizer: The penalty of beta, likewise of `fastcnn.regularizers`; None for none.
    gamma_regularizer: The penalty of gamma, likewise of `fastcnn.regularizers`; None for none.
    **common: `name`, text without "/" (None makes one from the class), and `trainable`, by default
        True.

Raises:
    TypeError: An argument is of a wrong type or unknown.
    ValueError: A number is out of its range, or a name is unknown; the message has the nearest.
""")
"""Decorates such a class, in whose docstring only what is its own needs to stand."""
