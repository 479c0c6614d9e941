"""The child of a fork computes what its parent would, and never waits for threads that it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")

# What every program below begins with. `in_child(function)` returns what a forked child makes of
# it; a child that dies or hangs is an error there.
PREAMBLE = """
import os, pickle, select, signal, sys, threading, time, traceback, warnings
import numpy as np
import fastcnn
from fastcnn import Sequential, layers as L

warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about forks beside threads
rng = np.random.default_rng(0)
x = rng.standard_normal((32, 8, 8, 1)).astype(np.float32)
y = rng.integers(0, 3, 32).astype(np.int32)

def build():
    model = Sequential([L.Conv2D(8, 3, activation="relu"), L.Flatten(), L.Dense(3)],
                       input_shape=(8, 8, 1), device="cpu", seed=1)
    model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def in_child(function, seconds=250):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.write(write, pickle.dumps(function()))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    data = b""
    while True:
        if not select.select([read], [], [], seconds)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise SystemExit("the child hangs")
        piece = os.read(read, 1 << 20)
        if not piece:
            break
        data += piece
    os.close(read)
    status = os.waitpid(pid, 0)[1]
    if status:
        raise SystemExit(f"the child ended with {status}")
    return pickle.loads(data)
"""


def run(program: str, seconds: int = 600) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + program],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, "NUMBA_NUM_THREADS": "3"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_child_predicts_and_trains_to_the_same_bits():
    run("""
model = build()
right = model.predict(x)
def train():
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    loss = model.evaluate(x, y, verbose=0)
    return model.predict(x), loss, [one.copy() for one in model.get_weights()]
assert np.array_equal(in_child(lambda: model.predict(x)), right)
assert np.array_equal(in_child(lambda: build().predict(x)), right)
child = in_child(train)
assert np.array_equal(model.predict(x), right)
parent = train()
assert np.array_equal(child[0], parent[0])
assert np.array_equal(child[1], parent[1])
assert all(map(np.array_equal, child[2], parent[2]))
# And a child's child.
assert np.array_equal(in_child(lambda: in_child(lambda: model.predict(x))), parent[0])
""")


def test_threads_in_a_child():
    """As many as in its parent, all of its own."""
    run("""
from fastcnn.backends.cpu.thread_pool import pool
model = build()
right = model.predict(x)
def compute():
    before = len(pool.helpers)
    same = np.array_equal(model.predict(x), right)
    return before, len(pool.helpers), same, fastcnn.num_threads()
assert len(pool.helpers) == 2
assert in_child(compute) == (0, 2, True, 3)
fastcnn.set_num_threads(1)
assert in_child(compute) == (0, 0, True, 1)
""")


def test_pools_return():
    run("""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
model = build()
right = model.predict(x)
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    for found in pool.map_async(model.predict, [x, x, x]).get(100):
        assert np.array_equal(found, right)
with ProcessPoolExecutor(2, mp_context=context) as pool:
    for found in pool.map(model.predict, [x, x], timeout=100):
        assert np.array_equal(found, right)
""")


def test_a_spawned_pool_returns(tmp_path):
    path = Path(tmp_path / "spawned.py")
    path.write_text(
        PREAMBLE
        + """
import multiprocessing
if __name__ == "__main__":
    model = build()
    right = model.predict(x)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply_async(model.predict, [x]).get(200), right)
"""
    )
    subprocess.run([sys.executable, str(path)], check=True, timeout=300)


@pytest.mark.parametrize(
    "work", ["model.predict(x)", "other.fit(x, y, epochs=3, verbose=0)"], ids=["predict", "fit"]
)
def test_a_fork_while_another_thread_computes(work):
    run(f"""
model, other = build(), build()
right = model.predict(x)
over = threading.Event()
def compute():
    while not over.is_set():
        {work}
threads = [threading.Thread(target=compute) for _ in range(2)]
for one in threads:
    one.start()
try:
    for _ in range(15):
        assert np.array_equal(in_child(lambda: model.predict(x)), right)
        child = in_child(lambda: other.predict(x))
        assert np.isfinite(child).all()
finally:
    over.set()
    for one in threads:
        one.join()
""")


def test_a_fork_while_another_thread_compiles(tmp_path):
    """The child compiles for itself, with an empty cache."""
    run(f"""
os.environ["FASTCNN_CACHE_DIR"] = {str(tmp_path)!r}
from fastcnn.kernels.cpu.runtime.njit_cache import cached_njit
over = threading.Event()
def compute():
    while not over.is_set():
        cached_njit()(lambda x: x + 1)(1)
thread = threading.Thread(target=compute)
thread.start()
try:
    for _ in range(5):
        assert in_child(lambda: cached_njit()(lambda x: x + 2)(1)) == 3
finally:
    over.set()
    thread.join()
""")


@pytest.mark.parametrize(
    "lock", ["fastcnn.kernels.compile_lock.compile_lock", "fastcnn.strategies.timing_cache._lock"]
)
def test_a_fork_while_another_thread_that_holds_a_lock_logs(lock):
    """As Numba does while it compiles. Logging has a lock too, which forks take."""
    run(
        f"""
import {lock.rpartition(".")[0]}
lock, held = {lock}, threading.Event()
import logging
def compute():
    with lock:
        held.set()
        time.sleep(0.3)  # in which the fork takes what it can
        logging.getLogger("a logger that nobody asked yet").isEnabledFor(10)
thread = threading.Thread(target=compute, daemon=True)
thread.start()
held.wait()
assert in_child(lambda: lock.acquire(timeout=10))
thread.join()
""",
        seconds=60,
    )


def test_a_fork_while_another_thread_imports_numba():
    """Which ends before: in the child nobody would go on with it."""
    run("""
from fastcnn.kernels import lazy_numba
assert "numba" not in sys.modules
def compiled():
    from fastcnn.kernels.cpu.runtime.njit_cache import cached_njit
    return cached_njit()(lambda x: x + 2)(1)
thread = threading.Thread(target=lazy_numba.import_numba)
thread.start()
while "numba" not in sys.modules:
    time.sleep(0.001)
assert in_child(compiled) == 3
thread.join()
""")


def test_a_fork_in_a_callback():
    """The thread that forks holds the locks itself; the child may go on with what it was doing."""
    run("""
from fastcnn.callbacks import Callback
model = build()
model.predict(x)
class Forking(Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.pid = os.fork()
forking = Forking()
history = model.fit(x, y, epochs=3, batch_size=8, verbose=0, callbacks=[forking])
weights = model.get_weights()
if not forking.pid:
    np.savez("child.npz", *weights)
    os._exit(0)
assert os.waitpid(forking.pid, 0)[1] == 0
with np.load("child.npz") as file:
    assert all(np.array_equal(file[f"arr_{i}"], one) for i, one in enumerate(weights))
os.remove("child.npz")
""")


def test_a_child_of_a_parent_that_used_openmp():
    """Whose threads a child lacks, and which ends the process that goes on with it: the engine has
    threads of its own, and its loops in the reference strategies are compiled without."""
    run("""
import numba
from numba import njit, prange
numba.config.THREADING_LAYER_PRIORITY = ["omp", "workqueue", "tbb"]
@njit(parallel=True)
def total(n):
    s = 0.0
    for i in prange(n):
        s += i
    return s
def build(strategy):
    return Sequential([L.Conv2D(8, 3, strategy=strategy), L.Flatten(), L.Dense(3)],
                      input_shape=(8, 8, 1), device="cpu", seed=1)
models = [build(one) for one in ("auto", "im2col-blas", "winograd", "fft", "reference")]
right = [model.predict(x) for model in models]
total(1000)  # as another library would
child = in_child(lambda: [model.predict(x) for model in models])
assert all(map(np.array_equal, child, right))
""")
