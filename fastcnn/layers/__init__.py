"""The layers, by Keras's names."""

from __future__ import annotations

from fastcnn.layers.activation import (
    ELU,
    Activation,
    LeakyReLU,
    ReLU,
    Softmax,
    ThresholdedReLU,
)
from fastcnn.layers.base import Layer, Parameter
from fastcnn.layers.compiled import CompiledLayer
from fastcnn.layers.containers import AuxiliaryClassifier, Concat, Residual
from fastcnn.layers.convolution import Conv2D
from fastcnn.layers.custom import CustomLayer
from fastcnn.layers.dense import Dense
from fastcnn.layers.depthwise import DepthwiseConv2D, SeparableConv2D
from fastcnn.layers.dropout import Dropout, SpatialDropout2D, StochasticDepth
from fastcnn.layers.gating import Scale, SqueezeExcite
from fastcnn.layers.group_normalization import GroupNormalization, LayerNormalization
from fastcnn.layers.local_normalization import (
    LocalContrastNormalization,
    LocalResponseNormalization,
)
from fastcnn.layers.locally_connected import LocallyConnected2D
from fastcnn.layers.normalization import BatchNormalization
from fastcnn.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    LpPooling2D,
    MaxPooling2D,
)
from fastcnn.layers.prelu import PReLU
from fastcnn.layers.registry import LAYERS, from_config, register
from fastcnn.layers.rescaling import Normalization, Rescaling
from fastcnn.layers.reshaping import Cropping2D, Flatten, Permute, Reshape, ZeroPadding2D
from fastcnn.layers.shortcut import IdentityShortcut
from fastcnn.layers.spatial_transformer import SpatialTransformer
from fastcnn.layers.transposed import Conv2DTranspose
from fastcnn.layers.upsampling import UpSampling2D

__all__ = [
    "ELU",
    "LAYERS",
    "Activation",
    "AuxiliaryClassifier",
    "AveragePooling2D",
    "BatchNormalization",
    "CompiledLayer",
    "Concat",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping2D",
    "CustomLayer",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "IdentityShortcut",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LocalContrastNormalization",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "LpPooling2D",
    "MaxPooling2D",
    "Normalization",
    "PReLU",
    "Parameter",
    "Permute",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Residual",
    "Scale",
    "SeparableConv2D",
    "Softmax",
    "SpatialDropout2D",
    "SpatialTransformer",
    "SqueezeExcite",
    "StochasticDepth",
    "ThresholdedReLU",
    "UpSampling2D",
    "ZeroPadding2D",
    "from_config",
]

register(
    *(IdentityShortcut, LocallyConnected2D, LpPooling2D, SpatialTransformer),
    *(Activation, AuxiliaryClassifier, AveragePooling2D, BatchNormalization, Concat, Conv2D, Dense),
    *(DepthwiseConv2D, Dropout, ELU, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D),
    *(GroupNormalization, LayerNormalization, LocalContrastNormalization),
    *(LeakyReLU, LocalResponseNormalization, MaxPooling2D, Normalization, ReLU, Rescaling),
    *(Residual, Scale, SeparableConv2D, Softmax, SqueezeExcite, ZeroPadding2D),
    *(Conv2DTranspose, Cropping2D, Reshape, SpatialDropout2D, StochasticDepth, ThresholdedReLU),
    *(PReLU, Permute, UpSampling2D),
)
