"""The memory of measurements: what is found, what files may hold, what other processes write."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fastcnn import num_threads, set_num_threads, strategies
from fastcnn.graph.problem import Problem
from fastcnn.strategies import timing_cache

PROBLEM = Problem(12, 12, 8, 8, (3, 3))
OTHER = Problem(12, 12, 8, 8, (3, 3), padding=((1, 1), (1, 1)))
TIMES = {"direct": 2.0, "winograd": 1.5}
EXACT = strategies.STRATEGIES["direct"].error


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of measurements that is not there yet."""
    monkeypatch.setenv(timing_cache.ENVIRONMENT, str(tmp_path / "measured"))
    return tmp_path / "measured"


def as_a_new_process(monkeypatch) -> None:
    monkeypatch.setattr(timing_cache, "_held", {})
    monkeypatch.setattr(timing_cache, "_said", set())


def test_what_is_remembered_is_found_by_the_next_process(folder, monkeypatch):
    assert timing_cache.find("dx", PROBLEM, 8) == {}
    assert not timing_cache.any_known()
    timing_cache.remember("dx", PROBLEM, 8, TIMES)
    for _ in range(2):
        assert timing_cache.find("dx", PROBLEM, 8) == TIMES
        assert timing_cache.measured("dx", PROBLEM, 8)
        assert not timing_cache.measured("dx", PROBLEM, 9)
        assert timing_cache.find("dw", PROBLEM, 8) == {}
        assert timing_cache.find("dx", OTHER, 8) == {}
        as_a_new_process(monkeypatch)
    (file,) = folder.iterdir()
    data = json.loads(file.read_text())
    assert data["processor"]
    assert data["times"][0]["problem"]["padding"] == [[0, 0], [0, 0]]


def test_what_is_found_is_a_copy(folder):
    timing_cache.remember("dx", PROBLEM, 8, TIMES)
    timing_cache.find("dx", PROBLEM, 8).clear()
    assert timing_cache.find("dx", PROBLEM, 8) == TIMES


@pytest.mark.parametrize(
    ("known", "asked", "found"),
    [
        ((1, 8, 64), 1, 1),
        ((1, 8, 64), 8, 8),
        ((1, 8, 64), 2, 8),
        ((1, 8, 64), 22, 8),  # 22 / 8 < 64 / 22
        ((1, 8, 64), 23, 64),
        ((1, 8, 64), 1000, 64),
        ((1,), 2, None),
        ((2, 8), 1, None),
    ],
)
def test_the_nearest_batch_by_ratio(folder, known, asked, found):
    for images in known:
        timing_cache.remember("forward", PROBLEM, images, {"direct": float(images)})
    expected = {} if found is None else {"direct": float(found)}
    assert timing_cache.find("forward", PROBLEM, asked) == expected


def test_other_threads_have_other_times(folder):
    before = num_threads()
    try:
        set_num_threads(1)
        timing_cache.remember("forward", PROBLEM, 8, TIMES)
        set_num_threads(2)
        assert timing_cache.find("forward", PROBLEM, 8) == {}
        assert not timing_cache.measured("forward", PROBLEM, 8)
        set_num_threads(1)
        assert timing_cache.find("forward", PROBLEM, 8) == TIMES
    finally:
        set_num_threads(before)


def test_another_precision_has_other_times(folder, monkeypatch):
    timing_cache.remember("dx", PROBLEM, 8, TIMES, precision="tf32")
    for _ in range(2):
        assert timing_cache.find("dx", PROBLEM, 8) == {}
        assert not timing_cache.measured("dx", PROBLEM, 8)
        assert timing_cache.find("dx", PROBLEM, 8, precision="tf32") == TIMES
        assert timing_cache.measured("dx", PROBLEM, 8, precision="tf32")
        as_a_new_process(monkeypatch)


def test_other_processes_entries_stay(folder, monkeypatch):
    timing_cache.remember("forward", PROBLEM, 8, {"direct": 1.0})
    program = f"""
from fastcnn.strategies import timing_cache as measurements; from fastcnn import set_num_threads
from fastcnn.graph.problem import Problem
set_num_threads({num_threads()})
problem = Problem(12, 12, 8, 8, (3, 3))
assert measurements.find("forward", problem, 8) == {{"direct": 1.0}}
measurements.remember("dx", problem, 8, {{"direct": 2.0}})
measurements.remember("forward", problem, 8, {{"winograd": 3.0}})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    timing_cache.remember("dw", PROBLEM, 8, {"direct": 4.0})
    as_a_new_process(monkeypatch)
    assert timing_cache.find("forward", PROBLEM, 8) == {"direct": 1.0, "winograd": 3.0}
    assert timing_cache.find("dx", PROBLEM, 8) == {"direct": 2.0}
    assert timing_cache.find("dw", PROBLEM, 8) == {"direct": 4.0}


def changed(**head) -> bytes:
    """A valid file's contents but for these of its fields."""
    entry = {"direction": "dx", "images": 8, "threads": 1, "ms": {"direct": 1.0}}
    return json.dumps({**timing_cache._head("cpu"), "times": [entry], **head}).encode()


def with_entry(**fields) -> bytes:
    entries = {timing_cache.Key("dx", PROBLEM, 1, "float32"): {8: TIMES}}
    entry = timing_cache._described(entries, "cpu")["times"][0]
    return changed(times=[{**entry, **fields}])


DAMAGED = {
    "empty": lambda: b"",
    "cut": lambda: with_entry()[:-9],
    "not text": lambda: b"\xff\xfe\x00",
    "nothing": lambda: b"null",
    "a list": lambda: b"[1, 2]",
    "deep": lambda: b"[" * 100_000,
    "another processor's": lambda: changed(processor="abacus"),
    "of other kernels": lambda: changed(kernels="0" * 16),
    "no entries": lambda: changed(times=3),
    "no problem": changed,
    "half a problem": lambda: with_entry(problem={"height": 3}),
    "a problem of words": lambda: with_entry(problem={**vars(PROBLEM), "kernel": ["a", "b"]}),
    "no image": lambda: with_entry(images=0),
    "a time that is none": lambda: with_entry(ms={"direct": float("nan")}),
    "a time below zero": lambda: with_entry(ms={"direct": -1}),
    "a time of words": lambda: with_entry(ms={"direct": "fast"}),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_that_is_none_is_ignored_with_one_line(folder, monkeypatch, capsys, kind):
    timing_cache.remember("forward", PROBLEM, 8, TIMES)
    (file,) = folder.iterdir()
    file.write_bytes(DAMAGED[kind]())
    as_a_new_process(monkeypatch)
    assert timing_cache.find("dx", PROBLEM, 8) == {}
    assert timing_cache.find("forward", PROBLEM, 8) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert str(file) in line
    timing_cache.remember("dw", PROBLEM, 8, TIMES)
    as_a_new_process(monkeypatch)
    assert timing_cache.find("dw", PROBLEM, 8) == TIMES
    assert capsys.readouterr().err == ""


def test_the_valid_one_that_the_damaged_ones_come_from_is_read(folder, monkeypatch, capsys):
    timing_cache.remember("forward", PROBLEM, 8, TIMES)
    (file,) = folder.iterdir()
    file.write_bytes(with_entry(threads=num_threads()))
    as_a_new_process(monkeypatch)
    assert timing_cache.find("dx", PROBLEM, 8) == TIMES
    assert capsys.readouterr().err == ""


def test_a_folder_that_cannot_be_written_costs_one_line(folder, monkeypatch, capsys):
    folder.write_text("in the way")
    for direction in ("forward", "dx"):
        timing_cache.remember(direction, PROBLEM, 8, TIMES)
    # On reading, a folder in the way is as good as none.
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "is not kept" in line]) == 1
    assert len(lines) <= 2
    assert timing_cache.find("dx", PROBLEM, 8) == TIMES
    assert folder.read_text() == "in the way"


def test_forget_removes_this_processors_files_and_no_others(folder, monkeypatch):
    timing_cache.remember("forward", PROBLEM, 8, TIMES)
    timing_cache.remember("dx", PROBLEM, 8, {"direct": 1.0})
    (file,) = folder.iterdir()
    older = folder / f"{file.name.rpartition('-')[0]}-{'0' * 16}.json"
    older.write_text("{}")
    (folder / "abacus-32-0000.json").write_text("{}")
    as_a_new_process(monkeypatch)
    assert timing_cache.forget() == 3
    assert timing_cache.find("forward", PROBLEM, 8) == {}
    assert [path.name for path in folder.iterdir()] == ["abacus-32-0000.json"]
    assert timing_cache.forget() == 0


def test_switched_off_they_last_for_the_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(timing_cache.ENVIRONMENT, "0")
    as_a_new_process(monkeypatch)
    assert timing_cache.folder() is None
    timing_cache.remember("forward", PROBLEM, 8, TIMES)
    assert timing_cache.find("forward", PROBLEM, 8) == TIMES
    as_a_new_process(monkeypatch)
    assert timing_cache.find("forward", PROBLEM, 8) == {}
    assert not list(tmp_path.iterdir())


def test_the_folder_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv(timing_cache.ENVIRONMENT)
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path))
    assert timing_cache.folder() == tmp_path / "measurements"
    monkeypatch.setenv("FASTCNN_CACHE", "0")
    assert timing_cache.folder() is None


@pytest.mark.parametrize(
    ("times", "bound", "expected"),
    [
        ({"direct": 1.0, "winograd": 2.0}, strategies.ERROR_BOUND, ("direct", "measured")),
        ({"direct": 2.0, "winograd": 1.0}, strategies.ERROR_BOUND, ("winograd", "measured")),
        # Winograd is fastest, but does not keep within the bound.
        ({"direct": 2.0, "winograd": 1.0}, EXACT, ("direct", "measured")),
        ({"gone": 1.0}, strategies.ERROR_BOUND, None),
    ],
)
def test_choices_follow_the_measured_times(folder, times, bound, expected):
    timing_cache.remember("forward", PROBLEM, 8, times)
    estimate = strategies.choose("forward", PROBLEM, 8, bound, measured=False)
    assert estimate.why == "estimated"
    assert strategies.choose("forward", PROBLEM, 8, bound) == (expected or estimate)


def test_times_that_are_alike_leave_it_to_the_estimate(folder):
    names = ["direct", "winograd", "winograd-2x2"]
    costs = {n: strategies.STRATEGIES[n].cost("forward", PROBLEM, 8) for n in names}
    cheapest, *_, dearest = sorted(names, key=costs.__getitem__)
    for far, expected in ((1.01, cheapest), (1.05, dearest)):
        timing_cache.remember("forward", PROBLEM, 8, {dearest: 1.0, cheapest: far})
        assert strategies.choose("forward", PROBLEM, 8) == (expected, "measured")
