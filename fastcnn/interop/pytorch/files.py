"""State dicts in files: safetensors, and what `torch.save` wrote."""

from __future__ import annotations

from typing import Any

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch import saved_file
from fastcnn.saving import safetensors_file, safetensors_layout
from fastcnn.utils import input_file

PICKLE, ZIP = b"\x80", b"PK\x03\x04"
"""How files of `torch.save` begin, the older ones and the newer ones."""


def read(path: str) -> Any:
    """Return what a file holds, which may be a state dict.

    Raises:
        FormatError: It is damaged, neither of the two, or of fastcnn's own.
        ImportError: The package `safetensors`, which reads it, is not installed.
        OSError: It cannot be opened.
    """
    if safetensors_file.is_one(path):
        tensors = safetensors_file.read(path)
        if safetensors_layout.TEXT in tensors.texts:
            raise FormatError(
                f"'{path}' holds weights as fastcnn has them, not as PyTorch: "
                "model.load_weights(path) reads them."
            )
        return tensors.arrays
    with input_file.opened(path) as file:
        start = file.read(4)
    if start.startswith(PICKLE) or start == ZIP:
        return saved_file.read(path, start == ZIP)
    raise FormatError(
        f"'{path}' holds no PyTorch weights: expected a safetensors file or one that torch.save "
        "wrote. Files of fastcnn and Keras are read by Sequential.load_weights."
    )
