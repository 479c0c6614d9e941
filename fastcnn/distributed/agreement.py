"""What ranks must have in common before they train: compared by digests, before the first step."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from fastcnn._version import __version__
from fastcnn.distributed.ranks import Ranks

PACKAGE = Path(__file__).parent.parent
LIBRARIES = ("llvmlite", "numba", "numpy")
ERROR = "error"
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Disagreement(ValueError):
    """The ranks differ in what they must have in common, or one of them had an error."""


def agree(ranks: Ranks, items: Mapping[str, str]) -> None:
    """Compare all ranks' items, by name; Disagreement names those that differ, and where."""
    ranks.voted = True
    every = ranks.gather(dict(items))
    for rank, other in enumerate(every):
        if ERROR in other and ERROR not in items:
            raise Disagreement(f"Rank {rank} could not begin, so none does: {other[ERROR]}")
    names = [name for name in every[0] if any(other.get(name) != every[0][name] for other in every)]
    if names and ERROR not in items:
        odd = [r for r, other in enumerate(every) if any(other[n] != every[0][n] for n in names)]
        who = "rank" if len(odd) == 1 else "ranks"
        raise Disagreement(
            f"All ranks must train with the same {_listed(names)}. Received others on {who} "
            f"{_listed(map(str, odd))} than on rank 0. Nothing was trained."
        )


def tell_error(ranks: Ranks, error: BaseException) -> None:
    """Answer the other ranks' `agree`: this one had an error."""
    ranks.voted = True
    ranks.gather({ERROR: f"{type(error).__name__}: {error}"})


def digest(*parts: object) -> str:
    """Return a digest of arrays, and of other things by their text, without the addresses that
    functions and plain objects name in it: those differ from process to process."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype}{part.shape}".encode())
            total.update(np.ascontiguousarray(part).view(np.uint8).data)
        else:
            total.update(ADDRESS.sub("", repr(part)).encode())
    return total.hexdigest()


def code_digest() -> str:
    """Return a digest of fastcnn's version and its source."""
    total = hashlib.sha256(__version__.encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        total.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return total.hexdigest()


def library_digest() -> str:
    """Return a digest of the versions of what compiles fastcnn's kernels and draws its numbers."""
    from importlib import metadata  # which takes longer than all else here

    return digest([metadata.version(name) for name in LIBRARIES])


def source_digest(classes: Iterable[type]) -> str:
    """Return a digest of what classes of the user's own do: the source of their methods."""
    functions = [
        getattr(attribute, "py_func", getattr(attribute, "__func__", attribute))
        for cls in classes
        for attribute in vars(cls).values()
    ]
    return digest([_source(function) for function in functions if inspect.isfunction(function)])


def _source(function: Callable[..., object]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # it was typed in
        return str(function.__code__.co_code)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
