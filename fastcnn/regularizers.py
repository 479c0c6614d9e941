"""Regularizers: l1 * sum(|w|) + l2 * sum(w^2), added to the loss of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from fastcnn.utils import arguments, naming
from fastcnn.utils.docstrings import described_by
from fastcnn.utils.settings import ConfiguredSettings


class L1L2(ConfiguredSettings):
    """The sum of both penalties. The name "l1_l2" alone means 0.01 of each, as Keras documents.

    What is set later, also while a model trains, counts from the next step on.

    Args:
        l1: The factor of the sum of magnitudes, at least 0; None is 0.
        l2: The factor of the sum of squares, at least 0; None is 0.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    l1 = 0.0
    l2 = 0.0

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = arguments.float32(self, "l1", 0.0 if l1 is None else l1, least=0)
        self.l2 = arguments.float32(self, "l2", 0.0 if l2 is None else l2, least=0)

    def __call__(self, w: np.ndarray) -> float:
        """The penalty of the weights w, in float64."""
        w = np.asarray(w, np.float64).reshape(-1)
        absolute = self.l1 * float(np.abs(w).sum()) if self.l1 else 0.0
        return absolute + (self.l2 * float(np.square(w).sum()) if self.l2 else 0.0)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {"l1": self.l1, "l2": self.l2}


@described_by(L1L2.__doc__)
class L1(L1L2):
    """l1 * sum(|w|).

    Args:
        l1: The factor, at least 0; None is 0.01.

    References:
        Tibshirani, 1996: Regression shrinkage and selection via the lasso.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, object]:
        return {"l1": self.l1}


@described_by(L1L2.__doc__)
class L2(L1L2):
    """l2 * sum(w^2).

    Args:
        l2: The factor, at least 0; None is 0.01.

    References:
        Hoerl and Kennard, 1970: Ridge regression.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, object]:
        return {"l2": self.l2}


REGULARIZERS: dict[str, type[L1L2]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}

RegularizerLike: TypeAlias = "str | L1L2 | type[L1L2] | Mapping[str, object] | None"
"""What stands for a regularizer: see `get`."""


@described_by(naming.resolve.__doc__)
def get(identifier: object) -> L1L2 | None:
    """Return the regularizer that a name such as "l2", a class or a configuration stands for.

    Args:
        identifier: A name such as "l2", a class, a {"class_name", "config"} or a regularizer, or
            None.

    Returns:
        The regularizer, made with its defaults where a name or a class is passed; None for None.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        cls = naming.lookup("regularizer", identifier, REGULARIZERS)
        return L1L2(0.01, 0.01) if cls is L1L2 else cls()
    return naming.resolve("regularizer", identifier, L1L2, REGULARIZERS)
