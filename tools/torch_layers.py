"""fastcnn's layers without weights, of PyTorch's functions: on maps [N, H, W, C]."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch_windows import Config, as_padding, channels_first, channels_last, margins, pool_margins

ACTIVATIONS = {
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hard_sigmoid": F.hardsigmoid,
    "hard_silu": F.hardswish,
    "hard_swish": F.hardswish,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "linear": lambda x: x,
    "mish": F.mish,
    "relu": F.relu,
    "relu6": F.relu6,
    "selu": F.selu,
    "sigmoid": F.sigmoid,
    "silu": F.silu,
    "softmax": lambda x: F.softmax(x, dim=-1),
    "softplus": F.softplus,
    "swish": F.silu,
    "tanh": F.tanh,
}


class UnweightedLayers:
    """Methods by the names of the layers' classes: of the input, the configuration and the path."""

    # Pooling

    def _pooled(self, x: Any, of: Config, value: float, function: Any) -> Any:
        around = margins(of["padding"], x, of["pool_size"], of["strides"])
        reached = pool_margins(around, x, of)
        return channels_last(function(F.pad(channels_first(x), as_padding(reached), value=value)))

    def _maxpooling2d(self, x: Any, of: Config, path: str) -> Any:
        window = of["pool_size"], of["strides"]
        return self._pooled(x, of, -math.inf, lambda x: F.max_pool2d(x, *window))

    def _sums(self, x: Any, of: Config) -> Any:
        window = of["pool_size"], of["strides"]
        return self._pooled(x, of, 0.0, lambda x: F.avg_pool2d(x, *window, divisor_override=1))

    def _averagepooling2d(self, x: Any, of: Config, path: str) -> Any:
        counted = torch.ones_like(x[:1])
        sums = self._sums(x, of)
        if of["count_include_pad"]:
            around = margins(of["padding"], x, of["pool_size"], of["strides"])
            reached = pool_margins(around, x, of)
            counted = channels_last(F.pad(channels_first(counted), as_padding(around), value=1.0))
            of = of | {
                "padding": [(0, r[1] - a[1]) for r, a in zip(reached, around, strict=True)],
                "ceil_mode": False,
            }
        return sums / self._sums(counted, of)

    def _lppooling2d(self, x: Any, of: Config, path: str) -> Any:
        sums = self._sums(x.abs() ** of["norm"], of)
        some = sums > 0  # the root has no derivative at 0
        return torch.where(some, torch.where(some, sums, 1.0) ** (1 / of["norm"]), 0.0)

    def _globalaveragepooling2d(self, x: Any, of: Config, path: str) -> Any:
        return x.mean(dim=(1, 2), keepdim=of["keepdims"])

    def _globalmaxpooling2d(self, x: Any, of: Config, path: str) -> Any:
        y = x.flatten(1, 2).max(dim=1).values
        return y[:, None, None] if of["keepdims"] else y

    def _localresponsenormalization(self, x: Any, of: Config, path: str) -> Any:
        y = channels_first(x) if x.ndim == 4 else x[..., None]
        y = F.local_response_norm(y, of["size"], of["alpha"], of["beta"], of["k"])
        return channels_last(y) if x.ndim == 4 else y[..., 0]

    def _localcontrastnormalization(self, x: Any, of: Config, path: str) -> Any:
        size, sigma = of["size"], of["sigma"] or of["size"] / 4
        distance = torch.arange(size, dtype=x.dtype) - size // 2
        bell = torch.exp(-(distance**2) / (2 * sigma**2))
        window = (bell[:, None] * bell)[None, None]
        inside = F.conv2d(torch.ones_like(x[:1, None, :, :, 0]), window, padding=size // 2)

        def mean(values: Any) -> Any:
            blurred = F.conv2d(values.mean(dim=-1)[:, None], window, padding=size // 2)
            return channels_last(blurred / inside)

        centered = x - mean(x)
        squares = mean(centered**2)
        some = squares > 0
        root = torch.where(some, torch.sqrt(torch.where(some, squares, 1.0)), 0.0)
        least = root.mean(dim=(1, 2), keepdim=True).clamp(min=of["epsilon"])
        return centered / torch.maximum(root, least)

    # Activations

    def _activation(self, x: Any, of: Config, path: str) -> Any:
        return ACTIVATIONS[of["activation"]](x)

    def _relu(self, x: Any, of: Config, path: str) -> Any:
        threshold = of["threshold"]
        most = math.inf if of["max_value"] is None else of["max_value"]
        below = of["negative_slope"] * (x - threshold).clamp(max=0.0)
        return torch.where(x > threshold, x.clamp(max=most), below)

    def _leakyrelu(self, x: Any, of: Config, path: str) -> Any:
        return F.leaky_relu(x, of["negative_slope"])

    def _elu(self, x: Any, of: Config, path: str) -> Any:
        return F.elu(x, of["alpha"])

    def _thresholdedrelu(self, x: Any, of: Config, path: str) -> Any:
        return F.threshold(x, of["theta"], 0.0)

    def _softmax(self, x: Any, of: Config, path: str) -> Any:
        return F.softmax(x, dim=-1)

    # Shapes, and what has no weights

    def _flatten(self, x: Any, of: Config, path: str) -> Any:
        return x.flatten(1)

    def _reshape(self, x: Any, of: Config, path: str) -> Any:
        return x.reshape(len(x), *of["target_shape"])

    def _permute(self, x: Any, of: Config, path: str) -> Any:
        return x.permute(0, *of["dims"])

    def _zeropadding2d(self, x: Any, of: Config, path: str) -> Any:
        return channels_last(F.pad(channels_first(x), as_padding(of["padding"])))

    def _cropping2d(self, x: Any, of: Config, path: str) -> Any:
        cut = [-side for side in as_padding(of["cropping"])]
        return channels_last(F.pad(channels_first(x), cut))

    def _upsampling2d(self, x: Any, of: Config, path: str) -> Any:
        corners = {} if of["interpolation"] == "nearest" else {"align_corners": False}
        scale, mode = tuple(map(float, of["size"])), of["interpolation"]
        return channels_last(F.interpolate(channels_first(x), None, scale, mode, **corners))

    def _identityshortcut(self, x: Any, of: Config, path: str) -> Any:
        rows, columns = of["strides"]
        before, channels = of["zeros_before"], x.shape[-1]
        return F.pad(x[:, ::rows, ::columns], (before, of["filters"] - channels - before))

    def _rescaling(self, x: Any, of: Config, path: str) -> Any:
        return x * x.new_tensor(of["scale"]) + x.new_tensor(of["offset"])

    def _normalization(self, x: Any, of: Config, path: str) -> Any:
        return (x - x.new_tensor(of["mean"])) / x.new_tensor(of["variance"]).sqrt()

    def _unchanged(self, x: Any, of: Config, path: str) -> Any:
        return x

    _dropout = _spatialdropout2d = _stochasticdepth = _unchanged
