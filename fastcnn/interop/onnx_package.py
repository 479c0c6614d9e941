"""The package `onnx`, which an extra of fastcnn installs."""

from __future__ import annotations

from types import ModuleType


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
