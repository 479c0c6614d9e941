"""Compiled kernels kept on disk between processes: one file of machine code, a cubin, for each.

numba-cuda's own cache notices a change in a kernel's own file, not in the ones that it calls into;
it tells closures apart by pickles, which differ from process to process; and it unpickles what it
finds. Here the sources of all kernels and everything that compiles them are one digest, which names
a folder. A file says what the code is of, and its entry (`kernels/code_file.py`). Where anything is
not as expected the kernel is compiled, and the file written anew.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from fastcnn.kernels import code_cache, code_file
from fastcnn.kernels.cuda.runtime.device import capability, launchable
from fastcnn.utils import messages, system

ROOMS, WITHOUT = ("kernels",), "kernels/cpu"
# Whose versions count, besides the libraries that make PTX or cubins of what Numba makes.
PACKAGES = ("numba", "numba-cuda", "llvmlite", "cuda-core", "cuda-bindings")
LIBRARIES = ("nvvm", "nvJitLink")
ELF = b"\x7fELF"


class Code(NamedTuple):
    """A cubin, and the name of the kernel in it."""

    entry: str
    cubin: bytes


class Cubins:
    """The files of one kernel; its dispatcher asks for code here before it compiles, and brings
    what it compiled.

    `options` are what the dispatcher compiles with. Code of types other than the declared ones has
    files of its own.
    """

    def __init__(self, name: str, options: dict[str, Any]):
        self._name = name
        self._options = options

    def has(self, types: Sequence[Any]) -> bool:
        """Say whether there is code for the GPU in use."""
        return self._read(types) is not None

    def load_overload(self, types: Sequence[Any], target_context: Any) -> Any:
        """Return numba-cuda's kernel, ready to launch, or None where there is no code."""
        code = self._read(types)
        if code is None:
            return None
        try:
            return launchable(*code, types)
        except Exception as error:  # of numba-cuda, from one version to the next
            _give_up(f"numba-cuda does not take them back ({type(error).__name__}: {error})")
            return None

    def save_overload(self, types: Sequence[Any], kernel: Any) -> None:
        """Write a compiled kernel's file, where that is possible."""
        path = self._path(types)
        if path is None or not self._keepable:
            return
        try:
            library = kernel.library
            cubin = bytes(library.get_cubin().code)
            if library.use_cooperative or library.needs_cudadevrt or library._linking_files:
                return  # it is not the cubin alone
        except AttributeError as error:
            _give_up(f"numba-cuda does not show them ({error})")
            return
        # Without a place to write it costs the time to compile, no more.
        try:
            code_cache.prepare(path.parent)
            code_file.write(path, self._key(types), cubin, entry=kernel.entry_name)
        except OSError as error:
            code_file.say_unkept(path.parent, error)

    @property
    def _keepable(self) -> bool:
        """Whether the code depends on nothing but sources and options."""
        return not any(self._options.get(name) for name in ("debug", "link", "extensions"))

    def _key(self, types: Sequence[Any]) -> str:
        """Return what the code is of, but for the sources, as one line."""
        options = {name: _plain(value) for name, value in sorted(self._options.items())}
        named = [self._name, list(map(str, types)), options, capability()]
        return json.dumps(named, default=str)

    def _path(self, types: Sequence[Any]) -> Path | None:
        root = folder()
        end = hashlib.sha256(self._key(types).encode()).hexdigest()[:16]
        return None if root is None else root / f"{self._name}-{end}{code_file.CUDA_SUFFIX}"

    def _read(self, types: Sequence[Any]) -> Code | None:
        """Return the file's code; None where there is none, or anything is wrong with it."""
        path = self._path(types)
        if path is None or not self._keepable:
            return None
        file = code_file.read(path, self._key(types))
        if file is None:
            return None
        entry = file.more.get("entry")
        if not isinstance(entry, str) or not file.code.startswith(ELF):
            code_file.say_damaged(path, "It holds no cubin")
            return None
        return Code(entry, file.code)


def folder() -> Path | None:
    """Return the folder of compiled kernels, or None where nothing is kept."""
    root = system.cache_directory()
    return None if root is None or _given_up else root / "cubins" / stamp()


def writable() -> bool:
    """Say whether compiled kernels can be kept at all."""
    place = folder()
    with suppress(OSError):
        if place is not None:
            code_cache.prepare(place)
            return os.access(place, os.W_OK) and code_file.why_refused(place) is None
    return False


@functools.cache
def stamp() -> str:
    """Return a digest of the kernels' sources and of what compiles them."""
    return code_cache.digest(ROOMS, WITHOUT, *_tools())


def _tools() -> list[str]:
    """Return the versions of what compiles kernels."""
    facts = [sys.version]
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            facts.append(f"{package} {metadata.version(package)}")
    for name in LIBRARIES:
        # They come from packages, from Conda or from a toolkit: the files tell them apart.
        with suppress(Exception):
            from cuda import pathfinder

            path = Path(pathfinder.load_nvidia_dynamic_lib(name).abs_path).resolve()
            facts.append(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}")
    return facts


def _plain(value: Any) -> Any:
    """Return an option in the same words in every process."""
    return sorted(value) if isinstance(value, set | frozenset) else value


_given_up: list[str] = []


def _give_up(reason: str) -> None:
    """Keep nothing for the rest of the process; say so, once."""
    if not _given_up:
        _given_up.append(reason)
        messages.say(f"fastcnn: compiled kernels are not kept: {reason}")
