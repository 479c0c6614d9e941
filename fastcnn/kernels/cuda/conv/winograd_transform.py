"""Winograd's matrices as device functions: straight-line code with the constants in it.

Which operations, and in which order, `fastcnn/kernels/shared/winograd.py` decides; here they
become the text of a Python function, which Numba compiles like any other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.shared.winograd import Sums


class _Lines:
    """Arithmetic on names, written down as lines of Python."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, np.float32] = {}

    def multiply(self, factor: float, value: str) -> str:
        return self.line(f"{self._constant(factor)} * {value}")

    def add(self, a: str, b: str) -> str:
        return self.line(f"{a} + {b}")

    def subtract(self, a: str, b: str) -> str:
        return self.line(f"{a} - {b}")

    def multiply_add(self, factor: float, value: str, total: str) -> str:
        return self.line(f"{self._constant(factor)} * {value} + {total}")

    def line(self, expression: str) -> str:
        name = f"t{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name

    def _constant(self, number: float) -> str:
        # A global of type float32: a literal would be float64, and the sums with it.
        name = f"c{len(self.constants)}"
        self.constants[name] = np.float32(number)
        return name


def one_sided(name: str, matrix: np.ndarray) -> Callable:
    """Return the device function `multiply(source, at, step, target, to, to_step)`.

    Writes matrix @ d for the vector d[j] = source[at + j * step]; result i goes to
    target[to + i * to_step]. Both are meant to be local arrays and the places constants, so that
    all of it stays in registers.
    """
    text = _Lines()
    values = [text.line(f"source[at + {j} * step]") for j in range(matrix.shape[1])]
    for i, value in enumerate(Sums(text).product(matrix, values)):
        text.lines.append(f"target[to + {i} * to_step] = {value}")
    body = "".join(f"    {line}\n" for line in text.lines)
    names: dict = dict(text.constants)
    # The text is made of the matrix and nothing else.
    exec(f"def {name}(source, at, step, target, to, to_step):\n{body}", names)  # noqa: S102
    return inline(names[name])
