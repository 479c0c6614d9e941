"""Kernels that are Python: what they see, what they raise, and that no thread waits for another."""

from __future__ import annotations

import copy
import pickle
import signal
import sys
import threading

import numpy as np
import pytest
from building import assert_close, build, images, targets_for
from numba import types
from threads import predict_together

import fastcnn
from fastcnn import layers as L
from fastcnn import optimizers
from fastcnn.backends.cpu.executable import Executable
from fastcnn.functional import Convolution
from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, GLOBAL, IMAGE, Calls, Region
from fastcnn.kernels.cpu.runtime import blas_threads
from fastcnn.kernels.cpu.runtime.host_kernel import host_kernel, view
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at

IMAGES = 40


@pytest.fixture(autouse=True)
def usual_threads():
    fastcnn.set_num_threads(2)
    yield
    fastcnn.set_num_threads(2)


@host_kernel(record("x", "y", "size", "bad"))
def doubled_or_refused(op):
    """y[size] = 2 * x, but what the test asks for is raised where x begins with `bad`."""
    x = view(op.x, (op.size,))
    if x[0] == op.bad:
        raise ERRORS[op.bad]
    view(op.y, (op.size,))[:] = 2 * x


@kernel(record("x", "y"))
def note_the_run(pointer):
    """y[0] = x[0] + 1, in machine code."""
    op = record_at(pointer)
    floats(op.y, 1)[0] = floats(op.x, 1)[0] + 1


ERRORS = {5: ZeroDivisionError("image five"), 6: KeyboardInterrupt()}


def executable(bad):
    """Doubles each image, then notes on the whole batch that it came so far."""
    calls = Calls(IMAGES)
    x, y = Region(32, "x"), Region(32, "weight")
    calls.emit(doubled_or_refused, IMAGE, "y", {"x": x, "y": y}, size=8, bad=bad)
    note = Region(64, GLOBAL)
    calls.emit(note_the_run, BATCH, "y", {"x": y, "y": note})
    return given_images(calls)


def given_images(calls):
    """An executable, its images and its results, each image eight times its number."""
    made = Executable(calls.emitted, IMAGES)
    x = np.repeat(np.arange(IMAGES, dtype=np.float32), 8).reshape(IMAGES, 8)
    y = np.zeros_like(x)
    made.give(x=x, weight=y)
    return made, x, y


def note(made):
    return made.memory["global"][:4].view(np.float32)[0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_host_kernel_sees_its_record(threads):
    fastcnn.set_num_threads(threads)
    made, x, y = executable(bad=-1)
    for _ in range(3):
        y[:] = 0
        made.run(IMAGES, 0)
        np.testing.assert_array_equal(y, 2 * x)
    assert note(made) == 1


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bad", ERRORS)
def test_what_it_raises_comes_out_of_the_run_and_ends_it(threads, bad):
    fastcnn.set_num_threads(threads)
    made, x, y = executable(bad)
    for _ in range(2):
        with pytest.raises(type(ERRORS[bad])) as caught:
            made.run(IMAGES, 0)
        assert caught.value is ERRORS[bad]
        assert note(made) == 0, "a later phase ran"
    other, x, y = executable(bad=-1)
    other.run(IMAGES, 0)
    np.testing.assert_array_equal(y, 2 * x)
    made.give(x=x[7:].copy(), weight=y)  # without the bad one
    made.run(IMAGES - 7, 0)
    assert note(made) == 2 * 7 + 1


def test_arrays_at_addresses():
    numbers = np.arange(24, dtype=np.float32).reshape(4, 6)
    at = numbers.ctypes.data
    np.testing.assert_array_equal(view(at, (4, 6)), numbers)
    np.testing.assert_array_equal(view(at + 4, (3, 4), strides=(8, 24)), numbers[:, 1::2].T)
    view(at, (2,), np.complex64)[1] = 7 + 8j
    np.testing.assert_array_equal(numbers[0, :4], [0, 1, 7, 8])


class FakeBlas:
    """OpenBLAS's two functions, and how many threads it had when asked."""

    def __init__(self):
        self.threads, self.history = 8, []

    def functions(self):
        return (lambda: self.threads), self.set

    def set(self, threads):
        self.threads = threads
        self.history.append(threads)


@pytest.mark.parametrize("bad", [-1, 5])
def test_blas_keeps_to_the_thread_that_calls_it(bad, monkeypatch):
    blas = FakeBlas()
    monkeypatch.setattr(blas_threads, "_functions", blas.functions)
    made, _, _ = executable(bad)
    if bad in ERRORS:
        with pytest.raises(ZeroDivisionError):
            made.run(IMAGES, 0)
    else:
        made.run(IMAGES, 0)
    assert blas.history == [1, 8]


def test_the_blas_of_another_maker_is_left_alone(monkeypatch):
    monkeypatch.setattr(blas_threads, "_functions", lambda: None)
    made, x, y = executable(bad=-1)
    made.run(IMAGES, 0)
    np.testing.assert_array_equal(y, 2 * x)


LIBRARIES = {"forward": "fft", "dx": "im2col-blas", "dw": "fft"}
LOSS = "sparse_categorical_crossentropy"
SHAPE = (11, 10, 3)


def net(strategy):
    return [
        L.Conv2D(8, 5, padding="same", use_bias=False, strategy=strategy),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(12, 3, activation="relu", strategy=strategy),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(5, activation="softmax"),
    ]


def trained(strategy, batch=6, threads=2):
    """Losses of three steps of different sizes, the weights, and outputs for one and for many."""
    fastcnn.set_num_threads(threads)
    model = build(SHAPE, net(strategy), LOSS, optimizers.SGD(0.05, momentum=0.9))
    x = images(3 * batch, SHAPE)
    y = targets_for(model, 3 * batch)
    parts = [slice(0, batch), slice(batch, 3 * batch), slice(0, max(1, batch // 2))]
    losses = [model.train_on_batch(x[part], y[part]) for part in parts]
    outputs = [model.predict(x), model.predict(x[:1])]
    return [np.array(losses, np.float32), *outputs, *model.get_weights()]


@pytest.mark.parametrize("strategy", ["im2col-blas", LIBRARIES], ids=["blas", "mixed"])
@pytest.mark.parametrize("batch", [1, 6, 37])
def test_a_network_trains_as_with_direct_convolution(strategy, batch):
    """Weights, too, within what the chain of layers and three steps make of each one's error."""
    pairs = zip(trained(strategy, batch), trained("direct", batch), strict=True)
    for number, (found, expected) in enumerate(pairs):
        assert_close(found, expected, "statistics", f"array {number}")


@pytest.mark.parametrize("strategy", ["im2col-blas", LIBRARIES], ids=["blas", "mixed"])
@pytest.mark.parametrize("batch", [1, 19])
def test_same_bits_for_any_threads(strategy, batch):
    expected = trained(strategy, batch, threads=1)
    for threads in (2, 3):
        pairs = zip(trained(strategy, batch, threads), expected, strict=True)
        for number, (found, right) in enumerate(pairs):
            np.testing.assert_array_equal(found, right, f"array {number}, {threads} threads")


def test_one_image_whose_products_are_shared_out():
    """Beside a layer large enough for that, calls for an image become calls for the batch."""
    layers = [
        L.Conv2D(64, 3, activation="relu", strategy="direct"),
        L.Conv2D(9, 3, padding="same", activation="relu", strategy="im2col-blas"),
        L.Conv2D(5, 7, padding="same", strategy="fft"),
    ]
    model = build((28, 28, 16), layers)
    x = images(3, (28, 28, 16))
    alone = []
    for threads in (1, 2, 3):
        fastcnn.set_num_threads(threads)
        alone.append(model.predict(x[:1]))
        np.testing.assert_array_equal(alone[0], alone[-1])
    assert_close(alone[0], model.predict(x)[:1], "chain", "output")


@pytest.mark.parametrize("nth", [1, 7, 14])
def test_a_step_that_a_library_ends_changes_nothing(nth, monkeypatch):
    """Forward or on the way back: weights, slots and moving statistics stay."""
    model, twin = (build(SHAPE, net("im2col-blas"), LOSS, "adam") for _ in range(2))
    x, y = images(4, SHAPE), targets_for(model, 4)
    product, calls = np.matmul, []

    def fails(*arguments, **options):
        calls.append(1)
        if len(calls) == nth:
            raise MemoryError("no room for a product")
        return product(*arguments, **options)

    monkeypatch.setattr(np, "matmul", fails)
    with pytest.raises(MemoryError, match="no room for a product"):
        model.train_on_batch(x, y)
    assert len(calls) >= nth
    monkeypatch.undo()
    for found, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert model.state.step == 0
    assert not model.state.slots.any()
    for _ in range(2):
        assert model.train_on_batch(x, y) == twin.train_on_batch(x, y)
    np.testing.assert_array_equal(model.predict(x), twin.predict(x))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_model_can_be_copied(copied):
    model = build(SHAPE, net(LIBRARIES), LOSS)
    x = images(3, SHAPE)
    expected = model.predict(x)
    np.testing.assert_array_equal(copied(model).predict(x), expected)


def test_threads_that_predict_at_once_get_their_own_answers():
    """Each holds Python's lock while it prepares, and none waits for it within a run."""
    models = [build(SHAPE, net(name), LOSS) for name in ("im2col-blas", "fft", "direct")]
    predict_together(models, images(9, SHAPE))


@pytest.mark.parametrize("strategy", ["im2col-blas", "fft"])
def test_numbers_that_are_not_finite_are_the_engines_to_name(strategy):
    model = build(SHAPE, net(strategy), LOSS)
    x = images(4, SHAPE)
    model.layer("conv2d").parameters[0].value[0, 0] = np.inf
    assert np.isnan(model.predict(x)).any()
    with pytest.raises(fastcnn.NonFiniteError, match=r"conv2d/kernel"):
        model.train_on_batch(x, targets_for(model, 4))


class SlowBlas(FakeBlas):
    """Gives another thread time to run something before it takes its own threads back."""

    def __init__(self, other):
        super().__init__()
        self.thread = threading.Thread(target=other)

    def set(self, threads):
        super().set(threads)
        if threads == 8 and not self.thread.ident:
            self.thread.start()
            self.thread.join(0.3)


def test_what_ends_a_run_leaves_another_threads_alone(monkeypatch):
    """And no library's threads are taken back while another thread's run counts on that."""
    ended, *_ = executable(bad=5)
    other, x, y = executable(bad=-1)
    raised = []

    def run():
        try:
            other.run(IMAGES, 0)
        except ZeroDivisionError as error:
            raised.append(error)

    blas = SlowBlas(run)
    monkeypatch.setattr(blas_threads, "_functions", blas.functions)
    with pytest.raises(ZeroDivisionError):
        ended.run(IMAGES, 0)
    blas.thread.join()
    assert not raised
    np.testing.assert_array_equal(y, 2 * x)
    assert blas.history == [1, 8, 1, 8]


send_signal = types.ExternalFunction("raise", types.int32(types.int32))


@kernel(record("x", "y", "signal"))
def press_ctrl_c(pointer):
    """Send this process a signal at the image that begins with 5; y = x."""
    op = record_at(pointer)
    x, y = floats(op.x, 8), floats(op.y, 8)
    for i in range(8):
        y[i] = x[i]
    if x[0] == 5:
        send_signal(types.int32(op.signal))


def test_ctrl_c_before_a_host_kernel_begins_ends_the_run(capsys):
    """Python looks for signals as a function is entered, where its `try` has not begun."""
    fastcnn.set_num_threads(1)
    calls = Calls(IMAGES)
    x, copied, y = Region(32, "x"), Region(32), Region(32, "weight")
    calls.emit(press_ctrl_c, IMAGE, "y", {"x": x, "y": copied}, signal=int(signal.SIGINT))
    calls.emit(doubled_or_refused, IMAGE, "y", {"x": copied, "y": y}, size=8, bad=-1)
    calls.emit(note_the_run, BATCH, "y", {"x": y, "y": Region(64, GLOBAL)})
    made, pixels, doubled = given_images(calls)
    hook = sys.unraisablehook
    capsys.readouterr()  # that it was compiled
    with pytest.raises(KeyboardInterrupt):
        made.run(IMAGES, 0)
    assert sys.unraisablehook is hook
    assert capsys.readouterr().err == ""
    assert note(made) == 0, "a later phase ran"
    pixels[:] = 7
    made.run(IMAGES, 0)
    np.testing.assert_array_equal(doubled, 2 * pixels)


@pytest.mark.parametrize("same", [True, False])
def test_a_model_called_in_the_middle_of_a_run_is_refused(same, monkeypatch):
    """As by a signal handler: it would wait for the run that waits for it, or spoil its images."""
    outer = build(SHAPE, net("im2col-blas"), LOSS)
    inner = outer if same else build(SHAPE, net("direct"), LOSS)
    x = images(5, SHAPE)
    expected, raised = outer.predict(x), []

    def nested(*arguments, **options):
        return inner.predict(x[:2])

    def call():
        with pytest.raises(RuntimeError, match="in the middle of a model's computation") as caught:
            outer.predict(x)
        raised.append(caught.value)

    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", nested)
        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(60)
        assert raised
    np.testing.assert_array_equal(outer.predict(x), expected)
    inner.predict(x)


def test_a_model_called_in_the_middle_of_a_convolution_by_itself_is_refused(monkeypatch):
    """As while `fastcnn tune` times one: no engine stands around its runs."""
    model, x = build(SHAPE, net("direct"), LOSS), images(2, SHAPE)
    problem = Problem(6, 6, 3, 4, (3, 3))
    arrays = np.zeros((2, 6, 6, 3)), np.zeros((3, 3, 3, 4))
    convolution = Convolution("im2col-blas", "forward", problem, *arrays)
    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", lambda *arguments, **options: model.predict(x))
        with pytest.raises(RuntimeError, match="in the middle of a model's computation"):
            convolution()
    convolution()
    model.predict(x)
