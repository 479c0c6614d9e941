"""Writing HDF5 files: whatever happens, there is the old file or the new one."""

from __future__ import annotations

import os
import random
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.reader import reading
from fastcnn.hdf5.writer import Contents, write
from fastcnn.saving import weights
from fastcnn.utils import atomic_file, file_lock

WRITER = """
    import sys
    import numpy as np
    from fastcnn.hdf5.writer import Contents, write
    number = 0
    while True:
        arrays = {f"part/{i}": np.full(100_000, number, np.float32) for i in range(8)}
        write(sys.argv[1], Contents(arrays=arrays))
        number += 1
        print(number, flush=True)
"""

FULL = """
    import resource, signal, sys
    import numpy as np
    from fastcnn.hdf5.writer import Contents, write
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        write(sys.argv[1], Contents(arrays={"x": np.zeros(1_000_000, np.float32)}))
    except OSError as error:
        print(type(error).__name__, error.errno, error)
"""


def program(text, *arguments):
    return [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]


def small(number):
    return Contents(arrays={"x": np.full(3, number, np.float32)})


def number_in(path):
    with reading(path) as root:
        return root.dataset("x").floats()[0]


@pytest.mark.parametrize("kills", [3, pytest.param(8, marks=pytest.mark.exhaustive)])
def test_a_kill_at_any_moment_leaves_a_whole_file(kills, tmp_path):
    path = tmp_path / "model.h5"
    waits = random.Random(3)
    for _ in range(kills):
        with subprocess.Popen(program(WRITER, path), stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(waits.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            finished = process.stdout.read().split()
        with reading(path) as root:
            part = root.group("part")
            numbers = {float(n) for name in part for n in np.unique(part.dataset(name).floats())}
        last = int(finished[-1]) if finished else 1
        assert numbers in ({last - 1.0}, {float(last)})


@pytest.mark.parametrize("room", [0, 100, 5000, 2_000_000])
@pytest.mark.parametrize("exists", [True, False])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(room, exists, tmp_path):
    path = tmp_path / "model.h5"
    if exists:
        write(path, small(4))
    run = subprocess.run(
        program(FULL, path, room), check=True, text=True, capture_output=True, timeout=60
    )
    assert run.stderr == ""
    assert run.stdout.startswith("OSError 27 ")
    assert f"'{path}' could not be written" in run.stdout
    assert ("unchanged" in run.stdout) == exists
    assert os.listdir(tmp_path) == (["model.h5"] if exists else [])
    if exists:
        assert number_in(path) == 4


def test_an_interrupt_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.h5"
    write(path, small(4))
    with pytest.raises(KeyboardInterrupt), atomic_file.replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["model.h5"]
    assert number_in(path) == 4


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write(tmp_path / "none" / "model.h5", small(1))


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(OSError, match="it is a folder"):
        write(tmp_path, small(1))


def test_a_link_stays_a_link(tmp_path):
    write(tmp_path / "real.h5", small(1))
    (tmp_path / "link.h5").symlink_to("real.h5")
    write(tmp_path / "link.h5", small(2))
    assert (tmp_path / "link.h5").is_symlink()
    assert number_in(tmp_path / "real.h5") == 2


def test_permissions_stay_and_new_files_get_the_usual_ones(tmp_path):
    old, new, plain = tmp_path / "old.h5", tmp_path / "new.h5", tmp_path / "plain"
    write(old, small(1))
    old.chmod(0o640)
    write(old, small(2))
    write(new, small(1))
    plain.write_text("")
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert new.stat().st_mode == plain.stat().st_mode


HALF = """
import sys, time
from fastcnn.utils import atomic_file as atomic
with atomic.replacing(sys.argv[1]) as file:
    file.write(b"half")
    print("begun", flush=True)
    time.sleep(60)
"""


def half_written(path):
    """A process in the midst of writing path."""
    process = subprocess.Popen(program(HALF, path), stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def killed(process):
    with process:
        process.kill()


def test_what_killed_writers_left_is_removed(tmp_path):
    path = tmp_path / "model.h5"
    other = tmp_path / ".other.h5.1-1.partial"
    other.write_text("")
    for _ in range(3):
        killed(half_written(path))
        assert len(list(tmp_path.glob(".model.h5.*.partial"))) == 1
    write(path, small(1))
    assert sorted(os.listdir(tmp_path)) == sorted([other.name, "model.h5"])


def test_what_another_process_writes_stays(tmp_path):
    path = tmp_path / "model.h5"
    writer = half_written(path)
    write(path, small(1))
    left = list(tmp_path.glob(".*.partial"))
    killed(writer)
    assert len(left) == 1
    write(path, small(2))
    assert os.listdir(tmp_path) == ["model.h5"]


def test_where_nothing_can_be_locked_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "take", lambda descriptor: None)
    stale, fresh = (tmp_path / f".model.h5.{n}-{n}.partial" for n in (1, 2))
    for path in (stale, fresh):
        path.write_text("")
    long_ago = time.time() - 2 * atomic_file.STALE_SECONDS
    os.utime(stale, (long_ago, long_ago))
    write(tmp_path / "model.h5", small(1))
    assert sorted(os.listdir(tmp_path)) == sorted([fresh.name, "model.h5"])


@pytest.mark.parametrize("kind", ["device", "fifo", "stdout"])
def test_what_is_no_file_is_not_replaced(kind, tmp_path):
    path = {"device": "/dev/null", "fifo": tmp_path / "fifo", "stdout": "/dev/stdout"}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        write(path, small(1))
    with pytest.raises(OSError, match="not a regular file"):
        atomic_file.check(path)
    assert atomic_file.is_stream(path)
    assert not atomic_file.is_stream("/dev/shm/model.h5") and not atomic_file.is_stream(
        tmp_path / "new"
    )


def test_a_path_that_cannot_be_written_is_told_beforehand(tmp_path):
    (tmp_path / "file").write_text("")
    atomic_file.check(tmp_path / "new.h5")
    atomic_file.check(tmp_path / "file")
    atomic_file.check(tmp_path / "a" / "b" / "new.h5", make_folders=True)
    with pytest.raises(OSError, match="there is no folder"):
        atomic_file.check(tmp_path / "a" / "new.h5")
    with pytest.raises(OSError, match="it is a folder"):
        atomic_file.check(tmp_path, make_folders=True)
    with pytest.raises(OSError, match=r"there is no folder '.*file'"):
        atomic_file.check(tmp_path / "file" / "a" / "new.h5", make_folders=True)
    assert os.listdir(tmp_path) == ["file"]


WRITES = re.compile(
    r"open\([^()]*,\s*[\"'][wax]|\.open\(\s*[\"'][wax]|write_text\(|write_bytes\(|savefig\("
    r"|os\.rename\(|os\.replace\(|np\.save|\.tofile\("
)


def test_every_write_goes_through_one_door():
    """Whoever writes otherwise replaces devices and links, or leaves half a file."""
    package = Path(fastcnn.__file__).parent
    writes = {
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        if path.name != "atomic_file.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if WRITES.search(line) and "atomic_file.write_text(" not in line
    }
    # Into memory; to another process's standard output, or to nowhere where there is none; a folder
    # claimed by creating a file, and whole files of one folder moved into another.
    expected = (
        "figure.savefig(drawn,",
        'os.fdopen(os.dup(1), "w")',
        'open(os.devnull, "w"',
        'self.settings.open("x"',
        "os.replace(new, old)",
        "os.replace(self.logs, earlier.logs)",
    )
    assert {write for write in writes if not any(words in write for words in expected)} == set()


def test_numbers_that_are_not_finite_are_neither_written_nor_read(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    model = fastcnn.Sequential([fastcnn.layers.Dense(2, name="d")], input_shape=(3,))
    model.compile("sgd", "mse")
    model.save(path)
    before = path.read_bytes()
    good = model.get_weights()
    model.parameters[0].value[0, 1] = np.nan
    for save in (model.save, model.save_weights, lambda path: model.check_save()):
        with pytest.raises(ValueError, match="1 of the 6 numbers of 'd/kernel' are not finite"):
            save(path)
    assert path.read_bytes() == before
    monkeypatch.setattr(weights, "refuse_not_finite", lambda parameter: None)
    model.save(path)  # as an earlier version did, with a right checksum
    model.set_weights(good)
    words = "model.h5.*1 of the 6 numbers of '/layers/dense/vars/0' are not finite"
    with pytest.raises(FormatError, match=words):
        fastcnn.load(path)
    with pytest.raises(FormatError, match=words):
        model.load_weights(path)
    assert all(map(np.array_equal, model.get_weights(), good))


class OwnSchedule(fastcnn.schedules.Schedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate

    def get_config(self):
        return {}


class OwnDense(fastcnn.layers.Dense):
    def __init__(self, units, width):
        super().__init__(units)


@pytest.mark.parametrize(
    ("layer", "schedule", "words"),
    [
        (fastcnn.layers.Dense(2), OwnSchedule(0.1), "OwnSchedule cannot be made from"),
        (OwnDense(2, 3), 0.1, "OwnDense.* 'name'"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, layer, schedule, words):
    """Classes of a user's own whose configurations lack what their constructors ask for."""
    model = fastcnn.Sequential([layer], input_shape=(3,))
    model.compile(fastcnn.optimizers.SGD(schedule), "mse")
    with pytest.raises(ValueError, match=f"cannot be saved.*{words}.*save_weights"):
        model.save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "model.weights.h5")
