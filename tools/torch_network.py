"""A network of PyTorch's functions, as fastcnn's configuration describes it.

It runs in the peer's Python, which need not have fastcnn. Maps are [N, H, W, C] between layers, as
in fastcnn; PyTorch's own order is that of its functions alone. Dropout is left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch_layers import ACTIVATIONS, UnweightedLayers
from torch_windows import Config, as_padding, channels_first, channels_last, margins

PADDINGS = {"zeros": "constant", "edge": "replicate", "reflect": "reflect"}


class Network(UnweightedLayers):
    """A network of a configuration; a method `_layer` for each class of layers.

    Args:
        config: The model's.
        values: Those of its parameters and statistics, by path.
        trained: The paths of those that have gradients.
        dtype: What it computes in.
    """

    def __init__(
        self,
        config: Config,
        values: dict[str, np.ndarray],
        trained: Sequence[str],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.layers = config["layers"]
        self.dtype = dtype
        self.values = {path: torch.tensor(value, dtype=dtype) for path, value in values.items()}
        self.weights = {path: self.values[path].requires_grad_() for path in trained}
        self.training = True
        self._sides: list[tuple[float, Any]] = []

    def loss(self, x: Any, y: Any, kind: str = "", settings: Config | None = None) -> Any:
        """Return what a step minimises: the loss at the end, those on the sides, the penalties.

        Args:
            x: Images [N, H, W, C], or [N, C].
            y: Labels, or targets of the outputs' shape.
            kind: The class of fastcnn's loss; by default the cross-entropy of labels.
            settings: Its configuration.
        """
        of = LOSSES[kind or "SparseCategoricalCrossentropy"]
        total = of(self(x), y, settings or {})
        for weight, side in self._sides:
            total = total + weight * of(side, y, settings or {})
        return total + self._penalty(self.layers, "")

    def __call__(self, x: Any) -> Any:
        """Return the outputs."""
        self._sides = []
        return self._chain(self.layers, x, "")

    def _chain(self, layers: list[Config], x: Any, path: str) -> Any:
        for layer in layers:
            settings = layer["config"]
            build = getattr(self, "_" + layer["class_name"].lower())
            x = build(x, settings, f"{path}{settings['name']}/")
        return x

    def _penalty(self, layers: list[Config], path: str) -> Any:
        total: Any = 0.0
        for layer in layers:
            settings = layer["config"]
            inside = f"{path}{settings['name']}/"
            for key, value in settings.items():
                weights = self.weights.get(inside + key.removesuffix("_regularizer"))
                if key.endswith("_regularizer") and value and weights is not None:
                    total = total + value["config"].get("l2", 0) * (weights**2).sum()
                    total = total + value["config"].get("l1", 0) * weights.abs().sum()
            for chain in _chains(settings):
                total = total + self._penalty(chain, inside)
        return total

    # Convolutions and dense layers

    def _biased(self, x: Any, of: Config, path: str) -> Any:
        if of["use_bias"]:
            x = x + self.values[path + "bias"]
        return ACTIVATIONS[of["activation"] or "linear"](x)

    def _convolved(self, x: Any, of: Config, kernel: Any, groups: int) -> Any:
        """Return the convolution with a kernel [filters, channels of a group, rows, columns]."""
        dilation = of["dilation_rate"]
        around = margins(of["padding"], x, kernel.shape[2:], of["strides"], dilation)
        x = F.pad(channels_first(x), as_padding(around), PADDINGS[of["padding_mode"]])
        return channels_last(
            F.conv2d(x, kernel.contiguous(), None, of["strides"], 0, dilation, groups)
        )

    def _conv2d(self, x: Any, of: Config, path: str) -> Any:
        kernel = self.values[path + "kernel"]
        if of["connections"] is not None:
            table = torch.tensor(np.array(of["connections"], bool))
            whole = kernel.new_zeros((*kernel.shape[:2], *table.shape))
            whole[:, :, table] = kernel
            kernel = whole
        x = self._convolved(x, of, kernel.permute(3, 2, 0, 1), of["groups"])
        return self._biased(x, of, path)

    def _depthwise(self, x: Any, of: Config, kernel: Any) -> Any:
        channels = x.shape[-1]
        kernel = kernel.permute(2, 3, 0, 1).flatten(0, 1)[:, None]
        return self._convolved(x, of, kernel, channels)

    def _depthwiseconv2d(self, x: Any, of: Config, path: str) -> Any:
        return self._biased(self._depthwise(x, of, self.values[path + "kernel"]), of, path)

    def _separableconv2d(self, x: Any, of: Config, path: str) -> Any:
        x = self._depthwise(x, of, self.values[path + "depthwise_kernel"])
        return self._biased(x @ self.values[path + "pointwise_kernel"][0, 0], of, path)

    def _conv2dtranspose(self, x: Any, of: Config, path: str) -> Any:
        kernel, dilation = self.values[path + "kernel"], of["dilation_rate"]
        whole = F.conv_transpose2d(
            *(channels_first(x), kernel.permute(3, 2, 0, 1).contiguous(), None, of["strides"]),
            groups=of["groups"],
            dilation=dilation,
        )
        sides = []
        for axis, stride in enumerate(of["strides"]):
            reach = (kernel.shape[axis] - 1) * dilation[axis] + 1
            size, extent = x.shape[1 + axis] * stride, whole.shape[2 + axis]
            if of["output_padding"]:
                size = extent + of["output_padding"][axis]
            elif of["padding"] == "valid":
                size = max(extent, size)
            cut = max(reach - stride, 0) // 2 if of["padding"] == "same" else 0
            sides.append((-cut, size - extent + cut))
        return self._biased(channels_last(F.pad(whole, as_padding(sides))), of, path)

    def _locallyconnected2d(self, x: Any, of: Config, path: str) -> Any:
        size, strides = of["kernel_size"], of["strides"]
        around = margins(of["padding"], x, size, strides)
        windows = F.unfold(F.pad(channels_first(x), as_padding(around)), size, stride=strides)
        windows = windows.unflatten(1, (x.shape[-1], math.prod(size)))
        windows = windows.permute(0, 3, 2, 1).flatten(2)
        bias = self.values.get(path + "bias")
        y = torch.einsum("npk,pkf->npf", windows, self.values[path + "kernel"])
        rows = (x.shape[1] + sum(around[0]) - size[0]) // strides[0] + 1
        return self._biased(y.unflatten(1, (rows, -1)), of | {"use_bias": bias is not None}, path)

    def _dense(self, x: Any, of: Config, path: str) -> Any:
        return self._biased(x @ self.values[path + "kernel"], of, path)

    # Normalization

    def _batchnormalization(self, x: Any, of: Config, path: str) -> Any:
        moving = self.values[path + "moving_mean"], self.values[path + "moving_variance"]
        own = self.training and of["trainable"]
        return channels_last(
            F.batch_norm(
                *(channels_first(x), *((None, None) if own else moving)),
                *(*self._affine(path, x.shape[-1:]), own, 0.0, of["epsilon"]),
            )
        )

    def _affine(self, path: str, shape: Any) -> tuple[Any, Any]:
        gamma = self.values.get(path + "gamma", torch.ones(shape, dtype=self.dtype))
        beta = self.values.get(path + "beta", torch.zeros(shape, dtype=self.dtype))
        return gamma.reshape(shape), beta.reshape(shape)

    def _groupnormalization(self, x: Any, of: Config, path: str) -> Any:
        groups = x.shape[-1] if of["groups"] < 0 else of["groups"]
        unit = channels_last(F.group_norm(channels_first(x), groups, eps=of["epsilon"]))
        # Given one of them without the other, its own backward pass ends the process.
        gamma, beta = self._affine(path, x.shape[-1:])
        return unit * gamma + beta

    def _layernormalization(self, x: Any, of: Config, path: str) -> Any:
        shape = x.shape[x.ndim - len(np.atleast_1d(of["axis"])) :]
        return F.layer_norm(x, shape, *self._affine(path, shape), of["epsilon"])

    def _prelu(self, x: Any, of: Config, path: str) -> Any:
        return torch.where(x > 0, x, self.values[path + "alpha"] * x)

    # Layers that hold others

    def _residual(self, x: Any, of: Config, path: str) -> Any:
        return self._chain(of["body"], x, path) + self._chain(of["shortcut"] or [], x, path)

    def _concat(self, x: Any, of: Config, path: str) -> Any:
        return torch.cat([self._chain(branch, x, path) for branch in of["branches"]], dim=-1)

    def _scale(self, x: Any, of: Config, path: str) -> Any:
        gate = self._chain(of["body"], x, path)
        return x * (gate[:, None, None] if gate.ndim < x.ndim else gate)

    def _squeezeexcite(self, x: Any, of: Config, path: str) -> Any:
        gate = x.mean(dim=(1, 2), keepdim=True)
        names = sorted({key.split("/")[-2] for key in self.values if key.startswith(path)})
        for name, activation in zip(names, (of["activation"], of["gate_activation"]), strict=True):
            gate = gate @ self.values[f"{path}{name}/kernel"][0, 0]
            gate = ACTIVATIONS[activation or "linear"](gate + self.values[f"{path}{name}/bias"])
        return x * gate

    def _auxiliaryclassifier(self, x: Any, of: Config, path: str) -> Any:
        if self.training:
            self._sides.append((of["loss_weight"], self._chain(of["layers"], x, path)))
        return x

    def _spatialtransformer(self, x: Any, of: Config, path: str) -> Any:
        theta = self._chain(of["localization"], x, path).reshape(-1, 2, 3)
        size = (len(x), x.shape[-1], *(of["output_size"] or x.shape[1:3]))
        grid = F.affine_grid(theta, size, align_corners=False)
        return channels_last(F.grid_sample(channels_first(x), grid, align_corners=False))


def _chains(settings: Config) -> Iterator[list[Config]]:
    """Yield the lists of layers in a layer's configuration."""
    lists = (settings.get(key) for key in ("body", "shortcut", "layers", "localization"))
    for chain in itertools.chain(lists, settings.get("branches", [])):
        if chain:
            yield chain


def _of_labels(z: Any, y: Any, settings: Config) -> Any:
    if settings.get("from_logits"):
        return F.cross_entropy(z, y)
    return F.nll_loss(z.log(), y)


def _of_decisions(z: Any, y: Any, settings: Config) -> Any:
    if settings.get("from_logits"):
        return F.binary_cross_entropy_with_logits(z, y)
    return F.binary_cross_entropy(z, y)


LOSSES = {
    "SparseCategoricalCrossentropy": _of_labels,
    "BinaryCrossentropy": _of_decisions,
    "MeanSquaredError": lambda z, y, settings: F.mse_loss(z, y),
}
