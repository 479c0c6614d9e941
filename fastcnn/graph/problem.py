"""The shape of a convolution or pooling: all that a strategy needs to accept or decline it."""

from __future__ import annotations

from dataclasses import dataclass, replace

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
NO_PADDING: Padding = ((0, 0), (0, 0))
PADDING_MODES = ("zeros", "edge", "reflect")
"""What stands around an image: zeros, its outermost pixels, or their mirror image without them."""


def output_size(size: int, window: int, stride: int, dilation: int, pad: Pair) -> int:
    """Return how many positions a window takes along one axis; 0 or less where it does not fit."""
    reach = (window - 1) * dilation + 1
    return (size + pad[0] + pad[1] - reach) // stride + 1


def unread_pixels(size: int, window: int, stride: int, dilation: int, pad: Pair) -> int:
    """Return how many pixels at the end of an axis no window reads, since the strides do not fit.

    Those that strides wider than the window skip everywhere do not count, nor does padding.
    """
    reach = (window - 1) * dilation + 1
    rest = (size + sum(pad) - reach) % stride
    return max(0, rest - pad[1] - max(0, stride - reach))


def overhang(size: int, window: int, stride: int, pad: Pair) -> int:
    """Return how far behind the padding a last, incomplete window ends along one axis.

    That window is there where the strides do not fit, and it begins inside the axis or its padding
    before it; 0 where there is none.
    """
    last = size + sum(pad) - window  # where a window that ends with the padding begins
    rest = last % stride
    if not rest or last - rest + stride >= size + pad[0]:
        return 0
    return stride - rest


def same_padding(size: int, window: int, stride: int, dilation: int) -> Pair:
    """Return TensorFlow's "same" padding along one axis: the odd pixel goes to the end."""
    reach = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Problem:
    """One convolution of a single image; channels last.

    `padding` is ((top, bottom), (left, right)) in pixels.
    """

    height: int
    width: int
    channels: int
    filters: int
    kernel: Pair
    strides: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def out_height(self) -> int:
        return output_size(
            self.height, self.kernel[0], self.strides[0], self.dilation[0], self.padding[0]
        )

    @property
    def out_width(self) -> int:
        return output_size(
            self.width, self.kernel[1], self.strides[1], self.dilation[1], self.padding[1]
        )

    @property
    def padded(self) -> bool:
        return self.padding != ((0, 0), (0, 0))

    @property
    def padded_height(self) -> int:
        return self.height + sum(self.padding[0])

    @property
    def padded_width(self) -> int:
        return self.width + sum(self.padding[1])

    @property
    def channels_per_group(self) -> int:
        return self.channels // self.groups

    @property
    def filters_per_group(self) -> int:
        return self.filters // self.groups

    @property
    def depthwise(self) -> bool:
        """Whether each channel has one kernel of its own."""
        return self.groups == self.channels == self.filters > 1

    @property
    def transposed(self) -> Problem:
        """The input's gradient as a convolution of y's gradient, for strides of 1.

        Padding wider than the kernel reaches makes it below 0, which leaves out y's edge.
        """
        rows, columns = (
            ((taps - 1) * dilation - before, (taps - 1) * dilation - after)
            for taps, dilation, (before, after) in zip(
                self.kernel, self.dilation, self.padding, strict=True
            )
        )
        return replace(
            self,
            height=self.out_height,
            width=self.out_width,
            channels=self.filters,
            filters=self.channels,
            padding=(rows, columns),
        )

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image, one direction, counted as the direct method does them."""
        taps = self.kernel[0] * self.kernel[1] * self.channels_per_group
        return self.out_height * self.out_width * self.filters * taps
