"""The package `onnx`, which an extra of fastcnn installs."""

from __future__ import annotations

from types import ModuleType

MOST_BYTES = (1 << 31) - 1
"""Of a file: as much as protocol buffers can have."""
SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
"""The constants of fastcnn's selu, and where a file has none of the operation Selu."""


def onnx_package() -> ModuleType:
    """Return the package, with the modules that are used of it; ImportError says how to get it."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(
            "ONNX files need the package onnx: pip install 'fastcnn[onnx]' installs it."
        ) from error
    return onnx
