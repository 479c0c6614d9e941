"""The command `fastcnn`."""

from __future__ import annotations

import argparse
import errno
import sysconfig
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from fastcnn.cli import output
from fastcnn.cli.parser import COMMANDS, make_parser
from fastcnn.utils import messages

__all__ = ["COMMANDS", "main"]

EXPECTED = (ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError)
"""What the library raises in words; anything else is fastcnn's own mistake."""
OURS = str(Path(__file__).parents[1])
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
MENDABLE = (
    *(ImportError, TypeError, ValueError),
    *(FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError),
)
"""What the user can mend, of what is expected: the command line, data, files, missing packages."""
MENDABLE_NUMBERS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)
"""Those of the system's errors without a class of their own that another file's name mends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: this process's); return 0, or 2 where it failed for what the
    user can mend, 130 where Ctrl-C ended it, or 1 where it failed otherwise. --help and misspelt
    options end in SystemExit, as argparse does it."""
    output.open_missing()
    output.escape_unprintable()
    try:
        try:
            return _run(make_parser().parse_args(arguments))
        finally:
            output.flush()
    except BrokenPipeError:
        output.drop_unread()
        return 1
    except output.UnwrittenError as error:
        output.drop_unread()
        messages.say(f"fastcnn: the output cannot be written: {error}.")
        return 1


def _run(args: argparse.Namespace) -> int:
    """Run a command; what it raises becomes a sentence and a code."""
    command: Callable[..., int] = import_module(f"fastcnn.cli.commands.{args.command}").run
    try:
        if args.threads is not None:
            import fastcnn

            fastcnn.set_num_threads(args.threads)
        with warnings.catch_warnings():
            warnings.showwarning = _note
            return command(args)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return _failed(args.command, "interrupted.", output.INTERRUPTED)
    except Exception as error:
        if args.debug:
            raise
        if isinstance(error, EXPECTED) and not _is_of_another_library(error):
            return _failed(args.command, _told(error), 2 if _is_mendable(error) else 1)
        unforeseen = f"unforeseen {type(error).__name__}: {error} (--debug shows the traceback)"
        return _failed(args.command, unforeseen, 1)


def _is_mendable(error: Exception) -> bool:
    number = error.errno if isinstance(error, OSError) else None
    return isinstance(error, MENDABLE) or number in MENDABLE_NUMBERS


def _is_of_another_library(error: Exception) -> bool:
    """Whether the words are another library's, which say nothing of what was asked for; the
    system's own, of a file, do."""
    trace = error.__traceback__
    if trace is None or isinstance(error, ImportError | MemoryError):
        return False
    if isinstance(error, OSError) and error.errno is not None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename
    return file.startswith(LIBRARIES) and not file.startswith(OURS)


def _told(error: Exception) -> str:
    """Return an expected error's sentence."""
    if isinstance(error, OSError) and error.strerror is not None and error.filename is None:
        return f"{error.strerror}, where the output goes or where a file is written."
    return str(error)


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Show a warning: one for users in a line, any other with its place in the code."""
    told = f"Note: {str(message).removeprefix('fit: ')}"
    if not issubclass(category, UserWarning):
        told = warnings.formatwarning(message, category, filename, lineno).rstrip()
    messages.say(told)


def _failed(command: str, sentence: str, code: int) -> int:
    messages.say(f"fastcnn {command}: {sentence}")
    return code
