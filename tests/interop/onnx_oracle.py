"""ONNX's reference evaluator, with two operations of it put right (as of onnx 1.23)."""

import numpy as np
import onnx.reference
from onnx.reference.ops.op_conv_transpose import ConvTranspose as OneGroup
from onnx.reference.ops.op_lrn import LRN as Cut


class ConvTranspose(OneGroup):
    """Groups of more than one filter: the reference writes only the first of each."""

    def _run(self, X, W, B=None, group=None, **settings):
        parts = []
        for number in range(group):
            x, w = (np.split(array, group, axis)[number] for array, axis in ((X, 1), (W, 0)))
            b = None if B is None else np.split(B, group)[number]
            parts.append(super()._run(x, w, b, group=1, **settings)[0])
        return (np.concatenate(parts, axis=1),)


class LRN(Cut):
    """Of all channels: the reference does the first ones alone, as many as there are images."""

    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        before, channels = (size - 1) // 2, x.shape[1]
        windows = [slice(max(0, c - before), c - before + size) for c in range(channels)]
        sums = np.stack([(x[:, window] ** 2).sum(axis=1) for window in windows], axis=1)
        return ((x / (bias + alpha / size * sums) ** beta).astype(x.dtype),)


def evaluated(proto, x):
    """What a model with one input makes of x."""
    session = onnx.reference.ReferenceEvaluator(proto, new_ops=[ConvTranspose, LRN])
    return session.run(None, {proto.graph.input[0].name: x})[0]
