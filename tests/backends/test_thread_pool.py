"""The pool's helpers change the time of a run and nothing else, whenever and whether they come."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastcnn import Sequential, set_num_threads
from fastcnn import layers as L
from fastcnn.backends.cpu.thread_pool import ThreadPool
from fastcnn.utils import threads as thread_count

X = np.random.default_rng(0).standard_normal((24, 10, 10, 3)).astype(np.float32)
Y = np.arange(24, dtype=np.int32) % 4


def run_with_three_threads(program):
    """A program in a process of its own: how it ends, what it says and what it complains of."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "NUMBA_NUM_THREADS": "3"},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def many_threads(monkeypatch):
    """More threads than this machine has cores."""
    monkeypatch.setattr(thread_count, "MOST", 16)
    before = thread_count.num_threads()
    yield set_num_threads
    monkeypatch.undo()
    set_num_threads(before)


def network() -> Sequential:
    layers = [
        L.Conv2D(8, 3, padding="same"),
        L.BatchNormalization(),
        L.ReLU(),
        L.MaxPooling2D(2),
        L.Conv2D(16, 3, activation="relu"),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(4, activation="softmax"),
    ]
    model = Sequential(layers, input_shape=(10, 10, 3), device="cpu", seed=3)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def trained(epochs: int = 2) -> list[np.ndarray]:
    model = network()
    model.fit(X, Y, epochs=epochs, batch_size=10, verbose=0)
    return [*model.get_weights(), model.predict(X), model.predict(X[:1])]


def assert_same_bits(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    assert all(map(np.array_equal, first, second))


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    before = thread_count.num_threads()
    set_num_threads(1)
    try:
        return trained()
    finally:
        set_num_threads(before)


@pytest.mark.parametrize("count", [2, 3, 16])
def test_the_same_bits_for_any_number_of_threads(count, many_threads, weights):
    many_threads(count)
    assert_same_bits(trained(), weights)


def test_the_same_bits_beside_busy_neighbours(many_threads, weights):
    many_threads(3)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        assert_same_bits(trained(), weights)
    finally:
        for neighbour in busy:
            neighbour.kill()
            neighbour.wait()


def test_two_models_train_in_two_threads(many_threads, weights):
    many_threads(4)
    results: dict[int, list[np.ndarray]] = {}

    def train(number: int) -> None:
        results[number] = trained()

    workers = [threading.Thread(target=train, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert_same_bits(results[0], weights)
    assert_same_bits(results[1], weights)


def test_helpers_fall_asleep_and_wake_at_any_moment(many_threads):
    """Pauses of about the time after which a helper sleeps: a wake-up that is lost would hang."""
    many_threads(4)
    model = network()
    right = model.predict(X)
    draw = random.Random(0)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for _ in range(50):
            assert np.array_equal(model.predict(X), right)
            until = time.perf_counter() + draw.uniform(0, 3e-4)
            while time.perf_counter() < until:
                pass


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_run_needs_no_helper_to_come(allowed, many_threads, monkeypatch):
    """The caller computes what others could have taken: those that the system refuses to start."""
    many_threads(1)
    model = network()
    right = model.predict(X)
    many_threads(4)
    lonely = ThreadPool()
    monkeypatch.setattr("fastcnn.backends.cpu.executable.pool", lonely)
    start, asked = threading.Thread.start, []

    def refuse(thread: threading.Thread) -> None:
        asked.append(thread)
        if len(asked) > allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(3):
        assert np.array_equal(model.predict(X), right)
    assert len(lonely.helpers) == allowed
    assert len(asked) == allowed + 1, "asked again at every run"


def test_threads_whose_start_was_interrupted_end_with_the_pool(many_threads, monkeypatch):
    many_threads(3)
    model = network()
    right = model.predict(X)
    pool = ThreadPool()
    monkeypatch.setattr("fastcnn.backends.cpu.executable.pool", pool)
    start, started = threading.Thread.start, []

    def interrupt(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.predict(X)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert np.array_equal(model.predict(X), right)
    assert len(pool.helpers) == 2
    started[0].join(10)
    assert not started[0].is_alive()


def test_a_model_computes_while_python_ends():
    """Where no thread can be started any more: in what was registered before fastcnn was there."""
    program = """
import atexit
atexit.register(lambda: print(model.predict(x).shape))
import numpy as np, fastcnn
from fastcnn import layers as L
model = fastcnn.Sequential([L.Conv2D(4, 3)], input_shape=(8, 8, 1), device="cpu")
x = np.ones((8, 8, 8, 1), np.float32)
model.predict(x)
"""
    assert run_with_three_threads(program) == (0, "(8, 6, 6, 4)\n", "")


def test_helpers_end_with_python():
    program = """
import numpy as np, fastcnn, threading
from fastcnn import layers as L
model = fastcnn.Sequential([L.Conv2D(4, 3)], input_shape=(8, 8, 1), device="cpu")
stop = threading.Event()
def compute():
    while True:
        model.predict(np.ones((8, 8, 8, 1), np.float32))
        stop.set()
threading.Thread(target=compute, daemon=True).start()
stop.wait()
print("over")
"""
    for _ in range(3):
        assert run_with_three_threads(program) == (0, "over\n", "")
