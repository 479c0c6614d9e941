"""The command `fastcnn`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from fastcnn.cli import (
    bench,
    data,
    evaluation,
    information,
    output,
    prediction,
    summary,
    training,
    tune,
    warming,
)
from fastcnn.cli.errors import UsageError
from fastcnn.cli.parser import make_parser

COMMANDS: dict[str, ModuleType] = {
    "train": training,
    "evaluate": evaluation,
    "predict": prediction,
    "summary": summary,
    "tune": tune,
    "bench": bench,
    "data": data,
    "info": information,
    "warmup": warming,
}
EXPECTED = (ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError)
"""What the library raises in words; anything else is fastcnn's own mistake."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line (default: this process's); returns 0, or 1 where the command failed,
    or 2 where it was used wrongly. --help and misspelt options end in SystemExit, as argparse
    does it."""
    output.escape_unprintable()
    given = make_parser().parse_args(arguments)
    command: Callable[..., int] = COMMANDS[given.command].run
    try:
        if given.threads is not None:
            import fastcnn

            fastcnn.set_num_threads(given.threads)
        with warnings.catch_warnings():
            warnings.showwarning = _note
            code = command(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; Python would complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _failed(given.command, "interrupted.", 1)
    except Exception as error:
        if given.debug:
            raise
        if isinstance(error, EXPECTED):
            return _failed(given.command, str(error), 2 if isinstance(error, UsageError) else 1)
        unforeseen = f"unforeseen {type(error).__name__}: {error} (--debug shows the traceback)"
        return _failed(given.command, unforeseen, 1)


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Shows a warning: one for users in a line, any other with its place in the code."""
    told = f"Note: {message}\n"
    if not issubclass(category, UserWarning):
        told = warnings.formatwarning(message, category, filename, lineno)
    sys.stderr.write(told)


def _failed(command: str, sentence: str, code: int) -> int:
    print(f"fastcnn {command}: {sentence}", file=sys.stderr)
    return code
