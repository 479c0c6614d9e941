"""A file of machine code: a line of JSON that says what the code is of, its checksum, the code.

What is read here is executed, and some of it is unpickled: a file that somebody else could have
written is not read, and one whose checksum does not fit is as good as none. Whoever asks compiles,
and the file is written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from fastcnn.utils import atomic_file, system, trust

CPU_SUFFIX, CUDA_SUFFIX = ".nbc", ".cubin"
ERRORS = (OSError, ValueError, RecursionError)
"""What reading a file may end in."""


class CodeFile(NamedTuple):
    """A file's content: what its first line says besides `of` and the checksum, and the code."""

    more: dict[str, Any]
    code: bytes


def read(path: Path, of: str) -> CodeFile | None:
    """Return a file's content; None where there is none, it may not be used, or it is damaged.

    The second and the third are said, in a warning, once.
    """
    refused = why_refused(path.parent)
    if refused is not None:
        _warn_once("refused", refused)
        return None
    try:
        head, code = _parts(_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ERRORS as error:
        say_damaged(path, str(error))
        return None
    if head.pop("of") != of:
        say_damaged(path, "It is of another kernel")
        return None
    return CodeFile(head, code)


def write(path: Path, of: str, code: bytes, **more: Any) -> None:
    """Write a file that only this user may write.

    Raises:
        OSError: It cannot be written.
    """
    refused = why_refused(path.parent)
    if refused is not None:
        raise PermissionError(refused)
    with atomic_file.replacing(path) as file:
        trust.keep_from_others(file)
        file.write(content(of, code, **more))


def content(of: str, code: bytes, **more: Any) -> bytes:
    """Return the bytes of a file; `more` is what its first line says besides."""
    head = {"of": of, **more}
    line = json.dumps({**head, "sha256": _checksum(head, code)})
    return line.encode() + b"\n" + code


def check(path: Path) -> None:
    """Read a file and compare its checksum.

    Raises:
        PermissionError: Others could have written it, or it may not be read.
        OSError: It cannot be read.
        ValueError, RecursionError: It is damaged.
    """
    _parts(_bytes(path))


def why_refused(folder: Path) -> str | None:
    """Return a sentence where somebody else could have written a folder of code, else None.

    Looked at are the folder and those above it up to fastcnn's cache directory. A folder further up
    does not matter: who may write there can put another in the place of ours, but not one that
    belongs to us.
    """
    root = system.cache_directory()
    above = [
        parent for parent in folder.parents if root is not None and parent.is_relative_to(root)
    ]
    untrusted = trust.first_untrusted([*reversed(above), folder])
    if untrusted is None:
        return None
    path, reason = untrusted
    return (
        f"Compiled kernels are neither read from '{path}' nor kept there, since it {reason}, who "
        f"could have this process run anything. Take it over (chown, chmod go-w '{path}'), or name "
        "a folder of your own in FASTCNN_CACHE_DIR. Until then every process compiles its kernels."
    )


def say_damaged(path: Path, reason: str) -> None:
    """Warn, once a process, that a file cannot be used."""
    _warn_once(
        "damaged",
        f"The compiled kernel in '{path}' cannot be used and is compiled anew, as is any other "
        f"like it: {reason.rstrip('.')}.",
    )


def say_unkept(folder: Path, error: OSError) -> None:
    """Warn, once a process, that compiled code cannot be kept; where that is refused for who may
    write there, reading it has told."""
    if why_refused(folder) is None:
        _warn_once(
            "unkept",
            f"Compiled kernels cannot be kept in '{folder}', so that every process compiles its "
            f"own: {error.strerror or error}. Name another folder in FASTCNN_CACHE_DIR.",
        )


def _bytes(path: Path) -> bytes:
    """Return the content of a regular file. Raises OSError also where others could write it."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("It is not a regular file")
        reason = trust.why_not(status)
        if reason is not None:
            raise PermissionError(f"It {reason}")
        return file.read()


def _parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the head and the code of a file's bytes. Raises ValueError where they do not fit."""
    line, _, code = file.partition(b"\n")
    try:
        head = json.loads(line)
        checksum = head.pop("sha256")
        fits = isinstance(head["of"], str) and checksum == _checksum(head, code)
    except (ValueError, KeyError, AttributeError, TypeError):
        fits = False
    if not fits:
        raise ValueError("Its checksum does not fit" if file else "It is empty")
    return head, code


def _checksum(head: dict[str, Any], code: bytes) -> str:
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode() + b"\n")
    digest.update(code)
    return digest.hexdigest()


_warned: set[str] = set()


def _warn_once(kind: str, sentence: str) -> None:
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(sentence, stacklevel=2)
