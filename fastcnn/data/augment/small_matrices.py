"""Products and inverses of matrices as small as those of colours, number by number: BLAS and LAPACK
round otherwise on another processor.
"""

from __future__ import annotations

import numpy as np

from fastcnn.data.counter_rng import Doubles


def product(left: Doubles, right: Doubles) -> Doubles:
    """Return left @ right, terms added in order.

    Args:
        left: The left matrices.
        right: The right matrices.

    Shape:
        left [..., n, d], right [..., d, m] -> [..., n, m].
    """
    terms = left[..., :, :, np.newaxis] * right[..., np.newaxis, :, :]
    result: Doubles = terms[..., 0, :]
    for k in range(1, terms.shape[-2]):
        result = result + terms[..., k, :]
    return result


def inverse(matrix: Doubles) -> Doubles:
    """Return the inverse of a matrix, by its cofactors.

    Args:
        matrix: float64 [3, 3].
    """
    first, second, third = matrix
    columns = np.cross(second, third), np.cross(third, first), np.cross(first, second)
    determinant = sum(float(a) * float(b) for a, b in zip(first, columns[0], strict=True))
    result: Doubles = np.stack(columns, axis=1) / determinant
    return result
