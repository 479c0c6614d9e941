"""State dicts in files: safetensors, and what `torch.save` wrote."""

from __future__ import annotations

import zipfile
from typing import Any

from fastcnn.hdf5.errors import FormatError
from fastcnn.saving import safetensors_file, safetensors_layout
from fastcnn.utils import input_file

PICKLE, ZIP = b"\x80", b"PK\x03\x04"
"""How files of `torch.save` begin, the older ones and the newer ones."""


def read(path: str) -> Any:
    """Return what a file holds, which may be a state dict.

    Raises:
        FormatError: It is damaged, neither of the two, or of fastcnn's own.
        ImportError: The package that reads it is not installed.
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
        return _read_saved(path, start == ZIP)
    raise FormatError(
        f"'{path}' holds no PyTorch weights: expected a safetensors file or one that torch.save "
        "wrote. Files of fastcnn and Keras are read by Sequential.load_weights."
    )


def _read_saved(path: str, zipped: bool) -> Any:
    """Return what `torch.save` wrote; only arrays and plain data are made of it."""
    try:
        import torch
    except ImportError:
        raise ImportError(
            f"'{path}' was written by torch.save, which PyTorch alone reads, and PyTorch is not "
            "installed here. Install it (pip install torch), or where it is, save the state dict "
            "by safetensors.torch.save_file."
        ) from None
    if zipped:
        _check_plain(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # damage shows as anything from a KeyError to a RuntimeError
        raise FormatError(f"'{path}' cannot be read: {_first_line(error)}") from None


def _check_plain(path: str) -> None:
    """FormatError where an archive is compressed, which torch.save never does, and which may be
    larger than any memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [
                entry.filename
                for entry in archive.infolist()
                if entry.compress_type != zipfile.ZIP_STORED
            ]
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"'{path}' is a damaged archive: {error}.") from None
    if compressed:
        raise FormatError(f"'{path}' has a compressed part, '{compressed[0]}': torch has none.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{f': {lines[0]}' if lines else ''}"
