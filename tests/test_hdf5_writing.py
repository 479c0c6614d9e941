"""Writing HDF5 files: whatever happens, there is the old file or the new one."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import fastcnn
from fastcnn import atomic
from fastcnn.formats.hdf5_reader import reading
from fastcnn.formats.hdf5_writer import Contents, write

WRITER = """
    import sys
    import numpy as np
    from fastcnn.formats.hdf5_writer import Contents, write
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
    from fastcnn.formats.hdf5_writer import Contents, write
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


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "model.h5"
    waits = random.Random(3)
    for _ in range(8):
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
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as file:
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


def test_what_killed_writers_left_is_removed(tmp_path):
    stale, fresh, foreign = (
        tmp_path / f".{name}.partial" for name in ("model.h5.1-1", "model.h5.2-2", "other.h5.1-1")
    )
    for path in (stale, fresh, foreign):
        path.write_text("")
    long_ago = time.time() - 2 * atomic.STALE_SECONDS
    for path in (stale, foreign):
        os.utime(path, (long_ago, long_ago))
    write(tmp_path / "model.h5", small(1))
    assert sorted(os.listdir(tmp_path)) == sorted([fresh.name, foreign.name, "model.h5"])


class OwnSchedule(fastcnn.schedules.Schedule):
    def __call__(self, step):
        return 0.1

    def get_config(self):
        return {}


class OwnDense(fastcnn.layers.Dense):
    pass


@pytest.mark.parametrize(
    ("layer", "schedule", "words"),
    [
        (fastcnn.layers.Dense, OwnSchedule, "Unknown schedule 'OwnSchedule'"),
        (OwnDense, lambda: 0.1, "Unknown layer 'OwnDense'"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, layer, schedule, words):
    model = fastcnn.Sequential([layer(2)], input_shape=(3,))
    model.compile(fastcnn.optimizers.SGD(schedule()), "mse")
    with pytest.raises(ValueError, match=f"cannot be saved.*{words}.*save_weights"):
        model.save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "model.weights.h5")
