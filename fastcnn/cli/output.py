"""What commands print reaches every terminal, whatever its encoding."""

from __future__ import annotations

import codecs
import io
import sys

from fastcnn.naming import printable

ERRORS = "fastcnn-escaped"


def escape_unprintable() -> None:
    """Has names of classes and files shown escaped where the terminal's encoding lacks them."""
    codecs.register_error(ERRORS, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = printable(error.object[error.start : error.end])
    return text.encode(error.encoding, "backslashreplace").decode(error.encoding), error.end
