"""What Pillow says in passing about a file that it reads, as of damaged EXIF data.

It says so by Python's warnings, without the file's name. Whoever catches warnings catches those of
all threads, and so this is done here instead: in Pillow's modules, a stand-in for the module
`warnings` keeps what is said in a thread that reads a file of ours, and passes on all else.
"""

from __future__ import annotations

import functools
import importlib
import threading
import warnings
from typing import Any

MODULES = ("Image", "JpegImagePlugin", "PngImagePlugin", "TiffImagePlugin")
"""Those of Pillow's that warn while they read a file."""

_thread = threading.local()


class _Warnings:
    """The module `warnings`, but for what is said in a thread that listens."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(
        self,
        message: str | Warning,
        category: type[Warning] | None = None,
        stacklevel: int = 1,
        **settings: Any,
    ) -> None:
        heard = getattr(_thread, "heard", None)
        if heard is None:
            # One level more: the place that is shown stays that in Pillow.
            warnings.warn(message, category, stacklevel + 1, **settings)
        else:
            heard.append(" ".join(str(message).split()))


class PillowWarnings(list[str]):
    """What Pillow says in this thread while the list is entered; nobody else hears it."""

    def __enter__(self) -> PillowWarnings:
        _place()
        self._before = getattr(_thread, "heard", None)
        _thread.heard = self
        return self

    def __exit__(self, *raised: object) -> None:
        _thread.heard = self._before


@functools.cache
def _place() -> None:
    for name in MODULES:
        module = importlib.import_module(f"PIL.{name}")
        if getattr(module, "warnings", None) is warnings:
            module.warnings = _Warnings()  # type: ignore[attr-defined]
