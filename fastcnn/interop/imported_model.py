"""What readers of other frameworks' models share: who makes the model, and who names the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Layer
from fastcnn.training.model_settings import ModelSettings

Shape = tuple[int, ...]
Model = TypeVar("Model", bound=ModelSettings)
ModelMaker = Callable[[Sequence[Layer], Shape, str], Model]
"""Makes a model of its layers, its input's shape and its name."""


@contextmanager
def refusals_named(path: str, kinds: tuple[type[Exception], ...] = (ValueError,)) -> Iterator[None]:
    """What a file can be refused for, as a FormatError that names it.

    Args:
        path: The file.
        kinds: What a refusal shows as.
    """
    try:
        yield
    except FormatError:
        raise
    except kinds as error:
        text = str(error).removesuffix(".")
        raise FormatError(f"'{path}' cannot be read as a model of fastcnn: {text}.") from None
