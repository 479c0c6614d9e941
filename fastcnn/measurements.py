"""What was measured on this machine: times of strategies, kept between processes.

A small JSON file in the user's cache directory, one for each processor, vector width and state of
the kernels' sources: other kernels or another computer have other times. FASTCNN_MEASUREMENTS names
another folder; FASTCNN_MEASUREMENTS=0 keeps nothing and reads nothing, so that only what this
process measures itself counts. A file that cannot be read or written costs what it would have held,
and a line on stderr.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import sys
import threading
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from fastcnn import atomic, machine
from fastcnn.kernels.cpu import simd
from fastcnn.kernels.cpu.cache import source_stamp
from fastcnn.problem import Problem
from fastcnn.threads import num_threads

ENVIRONMENT = "FASTCNN_MEASUREMENTS"


class Key(NamedTuple):
    """What a time belongs to, but for the size of the batch."""

    direction: str
    problem: Problem
    threads: int


Times = dict[str, float]  # milliseconds of a whole batch, by strategy
Entries = dict[Key, dict[int, Times]]  # by images in the batch

_held: dict[Path | None, Entries] = {}  # what this process knows, by the file that it is from
_said: set[str] = set()
_lock = threading.Lock()


def find(direction: str, problem: Problem, images: int) -> Times:
    """Return milliseconds by strategy on as many threads as are in use, {} where unknown.

    They are those of the measured batch that is nearest in size by ratio. A single image is
    computed in another way than several, so that neither stands for the other.
    """
    known = _entries().get(Key(direction, problem, num_threads()), {})
    alike = [size for size in known if (size == 1) == (images == 1)]
    if not alike:
        return {}
    return dict(known[min(alike, key=lambda size: abs(math.log(size / images)))])


def measured(direction: str, problem: Problem, images: int) -> bool:
    """Say whether just this batch was measured on as many threads as are in use."""
    return images in _entries().get(Key(direction, problem, num_threads()), {})


def any_known() -> bool:
    """Say whether anything at all is known."""
    return bool(_entries())


def remember(direction: str, problem: Problem, images: int, times: Times) -> None:
    """Keep what was measured, beside what other processes have written in the meantime."""
    path = _path()
    new = {Key(direction, problem, num_threads()): {images: dict(times)}}
    with _lock:
        found = {} if path is None else _read(path)
        _merge(found, new)
        if path is not None:
            _write(path, found)
        _merge(_held.setdefault(path, {}), found)


def forget() -> int:
    """Forget all that was measured on this processor; return how many times that were."""
    path = _path()
    with _lock:
        known = _held.get(path) or ({} if path is None else _read(path))
        _held[path] = {}
        # Those of older kernels too.
        for old in [] if path is None else path.parent.glob(f"{_slug()}-*.json"):
            try:
                old.unlink()
            except OSError as error:
                _say(f"'{old}' cannot be removed: {error.strerror or error}.")
    return sum(len(times) for batches in known.values() for times in batches.values())


def folder() -> Path | None:
    """Return the folder of the files, or None where nothing is kept."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return None if named == "0" else Path(named)
    root = machine.cache_directory()
    return None if root is None else root / "measurements"


def _path() -> Path | None:
    root = folder()
    return None if root is None else root / f"{_slug()}-{source_stamp()}.json"


@functools.cache
def _slug() -> str:
    name = re.sub(r"[^a-z0-9]+", "-", machine.processor().lower()).strip("-")
    return f"{name}-{32 * simd.LANES}"


def _entries() -> Entries:
    path = _path()
    found = _held.get(path)
    if found is None:
        with _lock:
            found = _held.setdefault(path, {} if path is None else _read(path))
    return found


def _merge(entries: Entries, more: Entries) -> None:
    for key, batches in more.items():
        for images, times in batches.items():
            entries.setdefault(key, {}).setdefault(images, {}).update(times)


def _read(path: Path) -> Entries:
    """Return a file's entries; {} where there is none or it is not what it should be."""
    try:
        return _parsed(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        _say(f"'{path}' cannot be read: {error.strerror or error}.")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        _say(f"'{path}' is damaged or not fastcnn's: what was measured is measured again.")
    return {}


def _write(path: Path, entries: Entries) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path) as file:
            file.write(json.dumps(_described(entries), indent=1).encode())
    except OSError as error:
        _say(f"what was measured is not kept: {error}")


def _say(sentence: str) -> None:
    """Say something on stderr, once a process."""
    if sentence not in _said:
        _said.add(sentence)
        print(f"fastcnn: {sentence}", file=sys.stderr, flush=True)


def _described(entries: Entries) -> dict[str, Any]:
    """Return the entries as plain data, under a head that says what they are of."""
    rows = [
        {**key._asdict(), "problem": asdict(key.problem), "images": images, "ms": times}
        for key, batches in entries.items()
        for images, times in batches.items()
    ]
    return {**_head(), "times": rows}


def _head() -> dict[str, Any]:
    return {
        "processor": machine.processor(),
        "vector_bits": 32 * simd.LANES,
        "kernels": source_stamp(),
    }


def _parsed(data: Any) -> Entries:
    """Return the entries of plain data; ValueError and its like where it is something else."""
    if any(data[name] != value for name, value in _head().items()):
        raise ValueError("of another machine")
    entries: Entries = {}
    for row in data["times"]:
        key = Key(str(row["direction"]), _problem(row["problem"]), _count(row["threads"]))
        times = {str(name): _time(ms) for name, ms in row["ms"].items()}
        _merge(entries, {key: {_count(row["images"]): times}})
    return entries


def _problem(row: dict[str, Any]) -> Problem:
    names = {field.name for field in fields(Problem)}
    if set(row) != names:
        raise ValueError("not a problem")
    return Problem(**{name: _frozen(value) for name, value in row.items()})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else _whole(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("not a whole number")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 1:
        raise ValueError("not a count")
    return int(value)


def _time(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError("not a time")
    return float(value)
