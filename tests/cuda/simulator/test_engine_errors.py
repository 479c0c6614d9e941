"""Errors and interruptions in the middle of a run on the GPU: nothing runs on, nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import functional, layers
from fastcnn.backends.cuda import engine as cuda_engine
from fastcnn.backends.cuda import graphs, launches
from fastcnn.backends.step import NonFiniteError
from fastcnn.graph.problem import Problem
from fastcnn.training import trainer

X = np.random.default_rng(0).random((2, 2, 1, 1), np.float32)
Y = np.array([0, 1], np.int32)


def model(device: str = "cuda") -> fastcnn.Sequential:
    stack = [layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
    made = fastcnn.Sequential(stack, (2, 1, 1), seed=1, device=device)
    loss = fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(fastcnn.optimizers.SGD(0.1, momentum=0.9), loss)
    return made


def trained() -> tuple[fastcnn.Sequential, list[np.ndarray]]:
    """After a step, and its weights and statistics."""
    made = model()
    made.train_on_batch(X, Y)
    return made, made.get_weights()


@pytest.fixture(scope="module")
def twice() -> list[np.ndarray]:
    """The weights and statistics after two steps."""
    made, _ = trained()
    made.train_on_batch(X, Y)
    return made.get_weights()


def same(one, other) -> None:
    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there)


class Stream:
    """The engine's stream, which notes how often it is waited for, and fails when asked to."""

    def __init__(self, stream, failing: int = -1):
        self.stream, self.waits, self.failing = stream, 0, failing

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def synchronize(self) -> None:
        self.stream.synchronize()
        self.waits += 1
        if self.waits == self.failing:
            raise KeyboardInterrupt


def watched(made: fastcnn.Sequential, failing: int = -1) -> Stream:
    engine = made.engine()
    planned = engine._planned["train", None, len(X)]
    planned._stream = Stream(engine.stream, failing)
    return planned._stream


class Launching:
    """A program's bound launches, of which one fails."""

    def __init__(self, launches, at: int):
        self.launches, self.at = launches, at

    def __iter__(self):
        for number, launch in enumerate(self.launches):
            if number == self.at:
                raise ZeroDivisionError("of the driver")
            yield launch


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_launch_that_fails_undoes_the_statistics(share, twice):
    """The weights are written last: as long as that is not begun, all is as before."""
    made, before = trained()
    stream = watched(made)
    launches = made.engine()._planned["train", None, len(X)]._work.launches
    whole = launches._bound[2]
    launches._bound[2] = Launching(whole, int(share * len(whole)))
    with pytest.raises(ZeroDivisionError):
        made.train_on_batch(X + 1, Y)
    assert stream.waits
    same(before, made.get_weights())
    launches._bound[2] = whole
    made.train_on_batch(X, Y)
    same(made.get_weights(), twice)


def test_weights_that_a_failing_step_wrote_are_the_weights():
    """What the host shows and what the next step begins with are the same."""
    made, _ = trained()
    before = made.state.values.copy()
    launches = made.engine()._planned["train", None, len(X)]._work.launches
    whole = launches._bound[2]
    launches._bound[2] = Launching([*whole, None], len(whole))
    with pytest.raises(ZeroDivisionError):
        made.train_on_batch(X, Y)
    held = made.engine().device_state.values.copy_to_host()
    np.testing.assert_array_equal(held, made.state.values)
    assert not np.array_equal(held, before)


def test_an_interruption_while_waiting_keeps_the_step_whole(twice):
    made, _ = trained()
    stream = watched(made, failing=1)
    with pytest.raises(KeyboardInterrupt):
        made.train_on_batch(X, Y)
    assert stream.waits == 2
    same(made.get_weights(), twice)


def test_statistics_that_the_host_wrote_survive_a_failing_first_step(monkeypatch):
    made, other = model(), model("cpu")
    other.train_on_batch(X, Y)
    made.predict(X)
    made.set_weights(other.get_weights())

    def fail(self, images, stream):
        raise ZeroDivisionError("of the driver")

    monkeypatch.setattr(launches.Launches, "launch", fail)
    with pytest.raises(ZeroDivisionError):
        made.train_on_batch(X, Y)
    same(made.get_weights(), other.get_weights())


@pytest.mark.filterwarnings("ignore:.*(overflow|invalid value):RuntimeWarning")  # NumPy's, of them
def test_nobody_sees_the_statistics_of_a_step_that_is_not_finite():
    """They are restored before another thread may read them."""
    made, before = trained()
    device_state = made.engine().device_state

    class Busy:
        """The lock, which looks at the statistics whenever it is given back."""

        def __init__(self, lock):
            self.lock, self.seen = lock, []

        def __enter__(self):
            return self.lock.__enter__()

        def __exit__(self, *error):
            self.seen.append(device_state.moving.copy_to_host())
            return self.lock.__exit__(*error)

    device_state.busy = Busy(device_state.busy)
    moving = device_state.moving.copy_to_host()
    with pytest.raises(NonFiniteError):
        made.train_on_batch(X * np.float32(1e30), Y)
    assert device_state.busy.seen
    for seen in device_state.busy.seen:
        np.testing.assert_array_equal(seen, moving)
    same(before, made.get_weights())


def test_a_staging_buffer_comes_back_after_an_error(monkeypatch):
    made, _ = trained()
    engine = made.engine()
    upload = engine.sender()(X)
    monkeypatch.setattr(engine._planned["train", None, len(X)]._work.launches, "launch", None)
    with pytest.raises(TypeError):
        engine.train(upload, Y, None)
    assert engine.uploader._free == [upload.staging]


def test_what_the_driver_lacks_memory_for_while_running_is_told(monkeypatch):
    def fail(self, images, stream):
        raise OSError("[2] Call to cuLaunchKernel results in CUDA_ERROR_OUT_OF_MEMORY")

    monkeypatch.setattr(launches.Launches, "launch", fail)
    with pytest.raises(MemoryError, match="which is not enough for what its kernels need to run"):
        model().predict(X)


def test_a_process_that_cannot_use_the_gpu_is_told(monkeypatch):
    def refuse():
        raise RuntimeError("forked")

    made, new = model(), model()
    made.predict(X)
    monkeypatch.setattr(cuda_engine, "check_process", refuse)
    for call in (made.predict, new.predict, lambda x: made.engine().hold(x, anew=False)):
        with pytest.raises(RuntimeError, match="forked"):
            call(X)


def test_a_grid_that_is_too_large_is_told_before_anything_runs(monkeypatch):
    made, _ = trained()
    made.predict(X)
    planned = made.engine()._planned["predict", None, trainer.USUAL_BATCH]
    call = planned._work.launches._calls[0]
    monkeypatch.setattr(planned._work.feed, "give", None)
    for least, advice in ((1, "Try smaller batches."), (9, "The layer is too large for a GPU.")):
        monkeypatch.setattr(
            call.kernel, "launch", lambda count, given, n=least: ((1, 1, 9000 * max(count, n)), 32)
        )
        planned._work.launches._bound.clear()
        monkeypatch.setattr(launches, "MOST_BLOCKS", 9001)
        with pytest.raises(ValueError, match=f"9001 along z. {advice}"):
            made.predict(X)


def test_a_timed_convolution_has_been_recorded_before(monkeypatch):
    """And it waits for what is on the default stream, without being held up by others there."""
    events: list[str] = []
    run = graphs.Replay.run
    monkeypatch.setattr(graphs.Replay, "run", lambda self: (events.append("run"), run(self)))
    problem = Problem(2, 1, 1, 1, (1, 1))
    made = functional.Convolution(
        *("direct", "forward", problem, X, np.ones((1, 1, 1, 1), np.float32)), device="cuda"
    )
    ready = made._ready

    class Event:
        def __init__(self, name):
            self.name = name

        def note(self, what, stream):
            events.append(f"{what} {self.name}" + " there" * (stream is ready._default))

        def record(self, stream):
            self.note("record", stream)

        def wait(self, stream):
            self.note("wait", stream)

        def synchronize(self):
            pass

        def elapsed_time(self, end):
            return 1.0

    ready._before, ready._start, ready._end = map(Event, ("before", "start", "end"))
    assert made.timed() == made.timed() == 1e-3
    once = ["record before there", "wait before", "record start", "run", "record end"]
    assert events == ["run", "run", *once, *once]
    np.testing.assert_array_equal(made(), X)
