"""What was measured on this machine: times of strategies, kept between processes.

A small JSON file in the user's cache directory, one for each processor or GPU, vector width and
state of the kernels' sources: other kernels or another computer have other times.
FASTCNN_MEASUREMENTS names another folder; FASTCNN_MEASUREMENTS=0 keeps nothing and reads nothing,
so that only what this process measures itself counts. A file that cannot be read or written costs
what it would have held, and a line on stderr.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.runtime.compile_cache import source_stamp
from fastcnn.kernels.cpu.simd import vector_unit
from fastcnn.kernels.registry import FLOAT32
from fastcnn.utils import atomic_file, forking, messages, system, trust
from fastcnn.utils.threads import num_threads

ENVIRONMENT = "FASTCNN_MEASUREMENTS"


class Key(NamedTuple):
    """What a time belongs to, but for the size of the batch; a GPU counts as one thread."""

    direction: str
    problem: Problem
    threads: int
    precision: str


Times = dict[str, float]  # milliseconds of a whole batch, by strategy
Entries = dict[Key, dict[int, Times]]  # by images in the batch

_held: dict[Path | None, Entries] = {}  # what this process knows, by the file that it is from
_said: set[str] = set()
_lock = forking.shared_lock()


def find(
    direction: str,
    problem: Problem,
    images: int,
    device: str = "cpu",
    precision: str = FLOAT32,
) -> Times:
    """Return milliseconds by strategy, on a CPU with the threads in use; {} where unknown.

    They are those of the measured batch that is nearest in size by ratio. A single image is
    computed in another way than several, so that neither stands for the other.
    """
    times = _entries(device).get(_key(direction, problem, device, precision), {})
    alike = [size for size in times if (size == 1) == (images == 1)]
    if not alike:
        return {}
    return dict(times[min(alike, key=lambda size: abs(math.log(size / images)))])


def measured(
    direction: str,
    problem: Problem,
    images: int,
    device: str = "cpu",
    precision: str = FLOAT32,
) -> bool:
    """Say whether just this batch was measured, on a CPU with the threads in use."""
    return images in _entries(device).get(_key(direction, problem, device, precision), {})


def any_known(device: str = "cpu") -> bool:
    """Say whether anything at all is known."""
    return bool(_entries(device))


def current_entries(device: str = "cpu") -> Entries:
    """Return what is known for the threads in use."""
    threads = _threads(device)
    return {key: times for key, times in _entries(device).items() if key.threads == threads}


def go_by(entries: Entries, device: str = "cpu") -> bool:
    """Let this process, not its file, go by what another knows for the threads that it has, in
    place of its own; return whether that is something else."""
    threads = _threads(device)
    taken = {key._replace(threads=threads): times for key, times in entries.items()}
    own = current_entries(device)
    if taken == own:
        return False
    with _lock:
        kept = {key: times for key, times in _entries(device).items() if key not in own}
        _held[_path(device)] = {**kept, **taken}
    return True


def remember(
    direction: str,
    problem: Problem,
    images: int,
    times: Times,
    device: str = "cpu",
    precision: str = FLOAT32,
) -> None:
    """Keep what was measured, beside what other processes have written in the meantime."""
    path = _path(device)
    new = {_key(direction, problem, device, precision): {images: dict(times)}}
    with _lock:
        entries = {} if path is None else _read(path, device)
        _merge(entries, new)
        if path is not None:
            _write(path, entries, device)
        _merge(_held.setdefault(path, {}), entries)


def forget(device: str = "cpu") -> int:
    """Forget all that was measured on this processor; return how many times that were."""
    path = _path(device)
    with _lock:
        entries = _held.get(path) or ({} if path is None else _read(path, device))
        _held[path] = {}
        # Those of older kernels too.
        for old in [] if path is None else path.parent.glob(f"{_slug(device)}-*.json"):
            try:
                old.unlink()
            except OSError as error:
                _say(f"'{old}' cannot be removed: {error.strerror or error}.")
    return sum(len(times) for batches in entries.values() for times in batches.values())


def folder() -> Path | None:
    """Return the folder of the files, or None where nothing is kept."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return None if named == "0" else Path(named)
    root = system.cache_directory()
    return None if root is None else root / "measurements"


def _key(direction: str, problem: Problem, device: str, precision: str) -> Key:
    return Key(direction, problem, _threads(device), precision)


def _threads(device: str) -> int:
    return num_threads() if device == "cpu" else 1


def _path(device: str) -> Path | None:
    root = folder()
    stamp = _head(device)["kernels"]
    return None if root is None else root / f"{_slug(device)}-{stamp}.json"


@functools.cache
def _slug(device: str) -> str:
    head = _head(device)
    name = re.sub(r"[^a-z0-9]+", "-", str(head["processor"]).lower()).strip("-")
    return f"{name}-{head['vector_bits']}"


def _entries(device: str) -> Entries:
    path = _path(device)
    entries = _held.get(path)
    if entries is None:
        with _lock:
            entries = _held.setdefault(path, {} if path is None else _read(path, device))
    return entries


def _merge(entries: Entries, more: Entries) -> None:
    for key, batches in more.items():
        for images, times in batches.items():
            entries.setdefault(key, {}).setdefault(images, {}).update(times)


def _read(path: Path, device: str) -> Entries:
    """Return a file's entries; {} where there is none or it is not what it should be."""
    try:
        return _parsed(json.loads(path.read_bytes()), device)
    except FileNotFoundError:
        return {}
    except OSError as error:
        _say(f"'{path}' cannot be read: {error.strerror or error}.")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        _say(f"'{path}' is damaged or not fastcnn's: what was measured is measured again.")
    return {}


def _write(path: Path, entries: Entries, device: str) -> None:
    try:
        trust.make_folder(path.parent)
        with atomic_file.replacing(path) as file:
            file.write(json.dumps(_described(entries, device), indent=1).encode())
    except OSError as error:
        _say(f"what was measured is not kept: {error}")


def _say(sentence: str) -> None:
    """Say something on stderr, once a process."""
    if sentence not in _said:
        _said.add(sentence)
        messages.say(f"fastcnn: {sentence}")


def _described(entries: Entries, device: str) -> dict[str, object]:
    """Return the entries as plain data, under a head that says what they are of."""
    rows = [
        {**key._asdict(), "problem": asdict(key.problem), "images": images, "ms": times}
        for key, batches in entries.items()
        for images, times in batches.items()
    ]
    return {**_head(device), "times": rows}


def _head(device: str) -> dict[str, object]:
    if device == "cpu":
        name, bits = system.processor(), 32 * vector_unit.LANES
    else:
        from fastcnn.kernels.cuda.runtime.device import device_name

        name, bits = device_name(), 32
    return {"processor": name, "vector_bits": bits, "kernels": source_stamp(device)}


def _parsed(data: Any, device: str) -> Entries:
    """Return the entries of plain data; ValueError and its like where it is something else."""
    if any(data[name] != value for name, value in _head(device).items()):
        raise ValueError("of another machine")
    entries: Entries = {}
    for row in data["times"]:
        problem, threads = _problem(row["problem"]), _count(row["threads"])
        key = Key(str(row["direction"]), problem, threads, str(row["precision"]))
        times = {str(name): _time(ms) for name, ms in row["ms"].items()}
        _merge(entries, {key: {_count(row["images"]): times}})
    return entries


def _problem(row: dict[str, object]) -> Problem:
    names = {field.name for field in fields(Problem)}
    if set(row) != names:
        raise ValueError("not a problem")
    return Problem(**{name: _frozen(value) for name, value in row.items()})


def _frozen(value: object) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else _whole(value)


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("not a whole number")
    return value


def _count(value: object) -> int:
    count = _whole(value)
    if count < 1:
        raise ValueError("not a count")
    return int(count)


def _time(value: object) -> float:
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError("not a time")
    return float(value)
