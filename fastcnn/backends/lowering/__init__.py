"""From a program's ops to calls of a device's kernels: one small function a kind of op."""

from __future__ import annotations

from collections.abc import Callable

from fastcnn.backends.lowering import (
    affine_sampling,
    contrast_normalization,
    convolution,
    custom,
    elementwise,
    gating,
    group_normalization,
    local_normalization,
    locally_connected,
    loss,
    matmul,
    normalization,
    pooling,
    prelu,
    shape,
    upsampling,
)
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Buffer, Op, Program
from fastcnn.kernels.call import Calls
from fastcnn.kernels.registry import Kernels
from fastcnn.utils import naming

__all__ = ["LOWER", "Regions", "lower"]

LOWER: dict[str, Callable[[Regions, Op], None]] = {
    "activation": elementwise.activation,
    "activation_dx": elementwise.activation_dx,
    "add": elementwise.add,
    "affine": elementwise.affine,
    "affine_sample": affine_sampling.affine_sample,
    "affine_sample_dtheta": affine_sampling.affine_sample_dtheta,
    "affine_sample_dx": affine_sampling.affine_sample_dx,
    "average_pool": pooling.average_pool,
    "average_pool_dx": pooling.average_pool_dx,
    "batch_moments": normalization.batch_moments,
    "batch_norm_dw": normalization.batch_norm_dw,
    "batch_norm_dx": normalization.batch_norm_dx,
    "batch_norm_sums": normalization.batch_norm_sums,
    "batch_scale_shift": normalization.batch_scale_shift,
    "bias": elementwise.bias,
    "bias_dw": elementwise.bias_dw,
    "concat": shape.concat,
    "concat_dx": shape.concat_dx,
    "contrast_norm": contrast_normalization.contrast_norm,
    "contrast_norm_dx": contrast_normalization.contrast_norm_dx,
    "conv2d": convolution.conv2d,
    "conv2d_dw": convolution.conv2d_dw,
    "conv2d_dx": convolution.conv2d_dx,
    "conv2d_sparse_dw": convolution.conv2d_sparse_dw,
    "conv2d_sparse_dx": convolution.conv2d_sparse_dx,
    "copy": shape.copy,
    "crop": shape.pad_dx,
    "custom": custom.custom,
    "custom_backward": custom.custom_backward,
    "custom_loss": custom.custom_loss,
    "dropout": elementwise.dropout,
    "group_norm": group_normalization.group_norm,
    "group_norm_dw": group_normalization.group_norm_dw,
    "group_norm_dx": group_normalization.group_norm_dx,
    "local_conv": locally_connected.local_conv,
    "local_conv_dw": locally_connected.local_conv_dw,
    "local_conv_dx": locally_connected.local_conv_dx,
    "loss": loss.loss,
    "lp_pool": pooling.lp_pool,
    "lp_pool_dx": pooling.lp_pool_dx,
    "matmul": matmul.matmul,
    "matmul_dw": matmul.matmul_dw,
    "matmul_dx": matmul.matmul_dx,
    "max_pool": pooling.max_pool,
    "max_pool_dx": pooling.max_pool_dx,
    "moving_scale_shift": normalization.moving_scale_shift,
    "multiply": gating.multiply,
    "pad": shape.pad,
    "pad_dx": shape.pad_dx,
    "product_sums": gating.product_sums,
    "permute": shape.permute,
    "prelu": prelu.prelu,
    "prelu_dx": prelu.prelu_dx,
    "prelu_terms": prelu.prelu_terms,
    "reshape": shape.reshape,
    "response_norm": local_normalization.response_norm,
    "response_norm_dx": local_normalization.response_norm_dx,
    "scale_dx": elementwise.scale_dx,
    "scale_shift": elementwise.scale_shift,
    "softmax": elementwise.softmax,
    "softmax_dx": elementwise.softmax_dx,
    "upsample": upsampling.upsample,
    "upsample_dx": upsampling.upsample_dx,
}


def lower(
    program: Program,
    kernels: Kernels,
    calls: Calls,
    outside: dict[Buffer, str],
    kept: set[Buffer],
) -> Regions:
    """Emit the calls of a program, each op's in its turn; return the regions that they work on.

    Args:
        program: The program.
        kernels: Those of the device.
        calls: Where the calls go.
        outside: Names of the arrays that some buffers are.
        kept: Buffers that are read after the run.

    Raises:
        ValueError: An op has no kernel.
    """
    low = Regions(program, kernels, calls, outside, kept)
    for number, op in enumerate(program.ops):
        # By its number the lab finds the op again, to which it adds the time of a call.
        calls.label = f"{op.layer or 'model'}: {op.kind} #{number}"
        if op.kind not in LOWER:
            raise ValueError(f"{op.where} has no kernel. {naming.unknown('op', op.kind, LOWER)}")
        LOWER[op.kind](low, op)
    return low
