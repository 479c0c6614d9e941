"""What lies on the device: the weights' way there and back, data sets, batches, memory."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import layers
from fastcnn.backends.cuda import dataset_cache, engine, launches
from fastcnn.backends.step import NonFiniteError

X = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 1), np.uint8)
Y = np.array([0, 1, 0, 1, 1], np.int32)


def model(device: str = "cuda", **settings) -> fastcnn.Sequential:
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax")]
    made = fastcnn.Sequential(stack, (2, 2, 1), seed=1, device=device, **settings)
    made.compile(fastcnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return made


def fitted(device: str, **settings) -> fastcnn.Sequential:
    made = model(device)
    made.fit(X, Y, batch_size=3, epochs=2, verbose=0, **settings)
    return made


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    """After two epochs on the CPU."""
    return fitted("cpu").get_weights()


def same(one, other) -> None:
    for here, there in zip(one, other, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-7)


def test_a_data_set_stays_on_the_device(weights, monkeypatch):
    uploads = []
    images = dataset_cache.Images
    monkeypatch.setattr(images, "__init__", counted(images.__init__, uploads))
    same(weights, fitted("cuda").get_weights())
    assert len(uploads) == 1


def counted(function, calls: list):
    def count(*args):
        calls.append(args)
        return function(*args)

    return count


def test_images_changed_in_place_are_sent_again():
    made, changed = model(), X.copy()
    made.evaluate(changed, Y, verbose=0)
    changed[...] = 255 - changed
    loss = made.evaluate(changed, Y, verbose=0)
    assert loss == pytest.approx(model("cpu").evaluate(changed, Y, verbose=0), rel=1e-5)


def test_batches_made_ahead_are_sent_ahead(weights, monkeypatch):
    """A data set that is too large for the device, in threads."""
    monkeypatch.setattr(engine.CudaEngine, "hold", lambda self, images, anew: False)
    for workers in (0, 2):
        same(weights, fitted("cuda", workers=workers).get_weights())


def test_weights_written_on_the_host_are_used():
    made = model()
    before = made.predict(X)
    kernel = made.parameters[0].value  # held: it must show each step
    kernel[...] = 0
    assert not np.ptp(made.predict(X), axis=0).any() and np.ptp(before, axis=0).all()
    made.train_on_batch(X, Y)
    assert kernel.any()
    kernel[...] = 0
    assert not np.ptp(made.predict(X), axis=0).any()


def test_moving_between_devices_takes_everything_along(weights):
    """One epoch here, one there, by `to` and by a file, with momentum."""
    one = model("cuda")
    one.fit(X, Y, batch_size=3, epochs=1, verbose=0)
    assert one.to("cpu") is one
    one.fit(X, Y, batch_size=3, initial_epoch=1, epochs=2, verbose=0)
    same(weights, one.get_weights())
    other = model("cpu")
    other.fit(X, Y, batch_size=3, epochs=1, verbose=0)
    other.to("cuda").fit(X, Y, batch_size=3, initial_epoch=1, epochs=2, verbose=0)
    same(weights, other.get_weights())


def test_a_file_is_of_no_device(weights, tmp_path):
    made = fitted("cuda")
    made.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    assert loaded.device == "cpu"
    same(made.get_weights(), loaded.get_weights())
    loaded.to("cuda").train_on_batch(X, Y)
    made.train_on_batch(X, Y)
    same(made.get_weights(), loaded.get_weights())


def test_the_same_bits_again():
    one, other = fitted("cuda"), fitted("cuda")
    for here, there in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.filterwarnings("ignore:.*(overflow|invalid value):RuntimeWarning")  # NumPy's, of them
def test_a_step_that_is_not_finite_changes_nothing():
    made = model()
    made.train_on_batch(X, Y)
    made.parameters[0].value[...] = 3e38
    before = made.get_weights()
    with pytest.raises(NonFiniteError, match="'dense'"):
        made.train_on_batch(np.full_like(X, 255), Y)
    for here, there in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


def noted(placed, sizes: list[int]):
    if placed[1] > 1000:
        sizes.append(placed[1])
    return placed


def test_memory_that_is_not_there_is_told(monkeypatch):
    class Context:
        def get_memory_info(self):
            return 1000, 1 << 30

    def allocate(size, *arguments):
        if size in sizes:
            raise RuntimeError("Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
        return there(size, *arguments)

    there, place = launches.cuda.device_array, launches.place
    sizes = []
    monkeypatch.setattr(launches, "place", lambda spans: noted(place(spans), sizes))
    monkeypatch.setattr(launches.cuda, "device_array", allocate)
    monkeypatch.setattr(launches.cuda, "current_context", Context)
    with pytest.raises(MemoryError, match=r"a batch of 64 needs .* a batch of \d+ would fit"):
        model().engine().predict(np.zeros((64, 2, 2, 1), np.float32))
    made = model()
    assert len(made.engine().predict(np.zeros((4, 2, 2, 1), np.float32))) == 4


def test_a_strategy_that_the_gpu_has_not_is_refused_at_once():
    def odd(device: str) -> fastcnn.Sequential:
        stack = [layers.Conv2D(2, 1, strategy="fft", name="odd"), layers.Flatten()]
        return fastcnn.Sequential(stack, (2, 2, 1), device=device)

    with pytest.raises(ValueError, match="odd: strategy 'fft' cannot compute forward: it has no"):
        odd("cuda")
    made = odd("cpu")
    with pytest.raises(ValueError, match="no kernels for device 'cuda'"):
        made.to("cuda")
    assert made.device == "cpu"


def test_auto_never_takes_the_simulator():
    assert model("auto").device == "cpu"


@pytest.mark.parametrize("frozen", [True, False])
def test_a_step_with_nothing_to_train(frozen):
    stack = [layers.Rescaling(1 / 255), layers.Flatten()]
    stack += [layers.Dense(2)] if frozen else []
    made = fastcnn.Sequential(stack, (2, 1, 1), device="cuda")
    if frozen:
        made.layers[-1].trainable = False
    made.compile("adam", "mse")
    x, y = X[:2, :, :1], np.ones((2, 2), np.float32)
    before = made.get_weights()
    assert made.train_on_batch(x, y) == pytest.approx(made.test_on_batch(x, y), rel=1e-6)
    for here, there in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


def test_auto_takes_the_cpu_for_what_a_gpu_has_not(monkeypatch):
    from fastcnn import devices

    monkeypatch.setattr(devices, "resolve", lambda device, precision: "cuda")
    stack = [layers.Conv2D(2, 1, strategy="fft"), layers.Flatten()]
    with pytest.warns(UserWarning, match="takes the CPU: .*'fft' cannot compute forward"):
        assert fastcnn.Sequential(stack, (2, 2, 1)).device == "cpu"


def test_tensor_cores_leave_winograd_out():
    from fastcnn import strategies
    from fastcnn.graph.problem import Problem

    wide = Problem(56, 56, 256, 256, (3, 3), padding=((1, 1), (1, 1)))
    chosen = {
        precision: strategies.choose("forward", wide, 64, device="cuda", precision=precision).name
        for precision in ("float32", "tf32")
    }
    assert chosen["float32"] == "winograd" and "winograd" not in chosen["tf32"]
