"""The layers of a model."""

from __future__ import annotations

from functools import cached_property

from fastcnn.layers.base import Layer
from fastcnn.layers.containers import AuxiliaryClassifier, auxiliary_classifiers
from fastcnn.utils.settings import FixedList


class LayerList(FixedList[Layer]):
    """Layers in a row, which stay those that a model was built of; so does what is inside them."""

    @cached_property
    def every(self) -> tuple[Layer, ...]:
        """The layers and those inside them, depth first."""
        return tuple(layer for top in self for layer in top.walk())

    @cached_property
    def auxiliary_classifiers(self) -> tuple[AuxiliaryClassifier, ...]:
        """Those among all of them, in their order."""
        return tuple(auxiliary_classifiers(self))
