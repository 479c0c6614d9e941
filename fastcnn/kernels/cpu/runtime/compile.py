"""Code loaded before it runs, and what is not on disk yet compiled by several processes.

    python -m fastcnn.kernels.cpu.runtime.compile fastcnn.kernels.cpu.layout copy_rows fill_zero

compiles two kernels into the folder on disk, having imported their module.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from fastcnn.kernels import compile_processes
from fastcnn.kernels.cpu.runtime import compile_cache
from fastcnn.kernels.cpu.runtime.code import Code, codes
from fastcnn.utils import messages
from fastcnn.utils.numba_settings import setting
from fastcnn.utils.threads import num_threads

MODULE = "fastcnn.kernels.cpu.runtime.compile"
WORTH = 4  # pieces of code that take as long as the start of a process


def load(wanted: Iterable[Code]) -> None:
    """Load machine code, compiling what the cache lacks after saying so on stderr.

    Raises:
        RuntimeError: Numba is not to compile anything.
    """
    if setting("DISABLE_JIT"):
        raise RuntimeError(
            "Models need kernels in machine code, which Numba is told not to make: "
            "NUMBA_DISABLE_JIT is set. Start Python without it."
        )
    missing = [code for code in _with_required(wanted) if not (code.loaded or code.load())]
    if missing:
        names = ", ".join(code.name for code in missing)
        messages.say(f"fastcnn: compiling for this CPU, first run only: {names}")
        with _no_garbage_collection(), messages.status_cleared():
            _compile(missing)


def _with_required(wanted: Iterable[Code]) -> list[Code]:
    """Return each piece of code once, after what it requires."""
    order: dict[Code, None] = {}

    def add(code: Code) -> None:
        for other in code.requires:
            add(other)
        order.setdefault(code)

    for code in wanted:
        add(code)
    return list(order)


def _compile(missing: Sequence[Code]) -> None:
    """Compile what is missing, where it is worth it with the help of other processes."""
    helpers = min(num_threads(), len(missing) // WORTH) - 1
    if helpers < 1 or not (compile_processes.possible() and compile_cache.writable()):
        for number, code in enumerate(missing):
            _show(number, len(missing))
            code.compile()
        return
    # Each process begins at a place of its own. At its end it goes towards the others.
    size = -(-len(missing) // (helpers + 1))
    starts = range(0, len(missing), size)
    order, *rows = ([*missing[at : at + size], *_backwards(missing, at, size)] for at in starts)
    waiting = missing
    with compile_processes.beside(MODULE, map(_arguments, rows)):
        for code in order:
            waiting = [other for other in waiting if not (other.loaded or other.load())]
            _show(len(missing) - len(waiting), len(missing))
            code.compile()


def _backwards(codes: Sequence[Code], start: int, size: int) -> list[Code]:
    """Return all but the `size` from `start` on, from the one before these to the one behind."""
    return [*reversed(codes[:start]), *reversed(codes[start + size :])]


def _show(done: int, total: int) -> None:
    messages.status(f"compiling {done + 1} of {total}")


def _arguments(part: Sequence[Code]) -> list[str]:
    return [*dict.fromkeys(code.module for code in part), *(code.name for code in part)]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Numba makes so many objects that looking for garbage takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def main() -> None:
    """Import the named modules and compile the named code, except where another process has."""
    modules = [name for name in sys.argv[1:] if "." in name]
    gc.disable()
    for module in modules:
        importlib.import_module(module)
    for name in sys.argv[1 + len(modules) :]:
        # The process that needs it compiles it again, and tells what is wrong.
        with suppress(Exception):
            code = codes()[name]
            code.compile()


if __name__ == "__main__":
    main()
