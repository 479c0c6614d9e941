"""What commands print reaches every terminal, whatever its encoding."""

from __future__ import annotations

import codecs
import io
import os
import sys

from fastcnn.utils.naming import printable

ERRORS = "fastcnn-escaped"
INTERRUPTED = 130
"""The status of what Ctrl-C ended, as shells and Python have it: loops in scripts end with it."""


def escape_unprintable() -> None:
    """Have names of classes and files shown escaped where the terminal's encoding lacks them."""
    codecs.register_error(ERRORS, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def open_missing() -> None:
    """Have what is printed go nowhere where there is no stdout or stderr: in a windowed Python, or
    where they were closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


class UnwrittenError(Exception):
    """What was printed did not get to where it goes; the reason."""


def flush() -> None:
    """Have stdout written; BrokenPipeError where its reader has left, else UnwrittenError."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwrittenError(error.strerror or error) from error


def drop_unread() -> None:
    """Have the rest of stdout go nowhere after its reader has left, as `head` does: Python would
    complain once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = printable(error.object[error.start : error.end])
    return text.encode(error.encoding, "backslashreplace").decode(error.encoding), error.end
