"""Files that are read: opened with a sentence that says why, where they cannot be."""

from __future__ import annotations

import os
from typing import BinaryIO

from fastcnn.utils.naming import shown

PathLike = str | os.PathLike[str]


def opened(path: PathLike, buffering: int = -1) -> BinaryIO:
    """Return a file that is open for reading.

    Args:
        path: The file.
        buffering: As `open` takes it; 0 for none.

    Raises:
        OSError: It cannot be opened, of the kind that says why.
    """
    try:
        return open(path, "rb", buffering)
    except OSError as error:
        sentence = f"'{shown(os.fsdecode(path))}' cannot be read: {_reason(path, error)}."
        raise in_words(error, sentence) from None


def in_words(error: OSError, sentence: str) -> OSError:
    """Return an error of the same kind and number that says a sentence.

    Args:
        error: The system's.
        sentence: What it means here.
    """
    worded = type(error)(sentence)
    worded.errno = error.errno
    return worded


def _reason(path: PathLike, error: OSError) -> str:
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        return "it is a folder"
    if isinstance(error, NotADirectoryError) or not os.path.exists(folder):
        return f"there is no folder '{folder}'"
    if isinstance(error, FileNotFoundError):
        return f"there is no such file in '{folder}'"
    if isinstance(error, PermissionError):
        return "its permissions do not allow it"
    return error.strerror or str(error)
