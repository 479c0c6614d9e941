"""The Numba type of a vector value: LANES floats in one register."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import models, register_model

from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR


class VectorType(types.Type):
    """What `vector.py`'s functions take and return."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


VECTOR_TYPE = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, frontend: VectorType) -> None:
        super().__init__(manager, frontend, VECTOR)
