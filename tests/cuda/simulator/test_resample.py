"""Augmentation on the device: the host's bits, and the same training."""

from __future__ import annotations

import gc
import weakref
from itertools import product

import numpy as np
import pytest

import fastcnn
from fastcnn import data, layers
from fastcnn.backends.cuda import engine
from fastcnn.backends.cuda.augmentation import Resampling
from fastcnn.backends.cuda.dataset_cache import Images
from fastcnn.backends.step import Selection
from fastcnn.data.augment.geometry import ResampleOptions
from fastcnn.data.augment.params import BatchParams
from fastcnn.kernels.cuda.runtime.device import cuda

RANDOM = np.random.default_rng(0)
INDICES = np.array([2, 0, 2, 1])
COUNT = len(INDICES)
DTYPES = (np.uint8, np.float32)
MODES = ("constant", "nearest", "reflect", "wrap")
FLIPS = [(1, 1), (1, -1), (-1, 1), (-1, -1)]


def images(channels: int, dtype: type = np.uint8, shape: tuple[int, int] = (7, 5)) -> np.ndarray:
    return (RANDOM.random((3, *shape, channels)) * 255).astype(dtype)


def on_device(x: np.ndarray, drawn: BatchParams) -> np.ndarray:
    """x[INDICES] augmented by the kernels."""
    resampling = Resampling(COUNT + 1, x.shape[3])
    options = resampling.give(drawn)
    made = cuda.to_device(np.full(COUNT * np.prod(drawn.shape), np.nan, np.float32))
    indices = cuda.to_device(INDICES.astype(np.int32))
    resampling.enqueue(options, Images(x), indices, COUNT, made, cuda.stream())
    return made.copy_to_host().reshape(COUNT, *drawn.shape)


def same(x: np.ndarray, *shape: int, fill: ResampleOptions | None = None, **drawn) -> None:
    """The device's bits are the host's."""
    given = BatchParams((*shape, x.shape[3]), fill or ResampleOptions(), **drawn)
    np.testing.assert_array_equal(on_device(x, given), given.applied(x, INDICES))


def turned(spread: float = 0.3, far: float = 5.0) -> np.ndarray:
    """Matrices that turn, shear, stretch and move, out of the image too."""
    return np.eye(2, 3) + RANDOM.normal(size=(COUNT, 2, 3)) * [spread, spread, far]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("dtype", "channels"), [*product(DTYPES, (1, 3, 4))])
def test_places_between_pixels(dtype, channels, mode):
    x, fill = images(channels, dtype), ResampleOptions(mode, fill_value=7.0)
    same(x, 6, 7, fill=fill, matrices=turned())
    same(x, 5, 1, fill=fill, matrices=turned(2.0, 30.0))


@pytest.mark.parametrize(("dtype", "mode"), [*product(DTYPES, MODES)])
def test_the_nearest_pixel(dtype, mode):
    fill = ResampleOptions(mode, "nearest", 7.0)
    same(images(3, dtype), 6, 7, fill=fill, matrices=turned())
    halves = np.tile(np.eye(2, 3), (COUNT, 1, 1))
    halves[:, :, 2] = [(0.5, -0.5), (-2.5, 1.5), (0.25, 0.75), (4.5, 8.5)]
    same(images(1, dtype), 7, 5, fill=fill, matrices=halves)


@pytest.mark.parametrize(("dtype", "mode"), [*product(DTYPES, MODES)])
def test_moves_by_whole_pixels(dtype, mode):
    x, matrices = images(3, dtype), np.zeros((COUNT, 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = np.transpose(FLIPS)
    for moves in ([(0, 0), (2, 9), (8, -3), (30, 5)], [(-2, 60), (-40, -1), (6, 4), (6, 4)]):
        matrices[:, :, 2] = moves
        same(x, 6, 7, fill=ResampleOptions(mode, fill_value=7.0), matrices=matrices)


def test_what_is_no_number_does_not_spread():
    """Of a pixel's neighbours, those that it does not lie between are not looked at."""
    x = images(1, np.float32)
    x[:, 3, 2] = np.nan
    matrices = np.tile(np.eye(2, 3), (COUNT, 1, 1))
    matrices[1, :, 2] = 1, 0
    same(x, 7, 5, matrices=matrices)


COLOURS = list(product(DTYPES, [(1, 1), (3, 1), (4, 1), (3, 3)], (False, True)))


@pytest.mark.parametrize(("dtype", "sizes", "with_mean"), COLOURS)
def test_colours(dtype, sizes, with_mean):
    channels, side = sizes
    x = images(channels, dtype)
    colours = {
        "linear": RANDOM.normal(size=(COUNT, side, side)).astype(np.float32),
        "offset": RANDOM.normal(size=(COUNT, channels)).astype(np.float32) * 50,
        "mean": RANDOM.normal(size=(COUNT, side, side)).astype(np.float32) if with_mean else None,
        "limits": (-20.0, 200.0),
        "scale": 1 / 255 if side == 1 else np.arange(1.0, channels + 1),
        "shift": np.arange(channels) - 1.0,
    }
    given = BatchParams((6, 7, channels), ResampleOptions("reflect"), turned(), **colours)
    there, here = on_device(x, given), given.applied(x, INDICES)
    if with_mean and dtype == np.float32:  # summed in another order
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-3)
    else:
        np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("scale", [None, 0.1])
@pytest.mark.parametrize("shift", [None, [1.0, 2.0, 3.0]])
def test_nothing_but_scale_and_shift(scale, shift):
    same(images(3), 7, 5, scale=scale, shift=shift)


def test_the_mean_of_more_channels_than_threads():
    x, ones = images(67, shape=(2, 2)), np.ones((COUNT, 1, 1), np.float32)
    offset = np.zeros((COUNT, 67), np.float32)
    same(x, 2, 2, linear=-ones, mean=ones, offset=offset, limits=(-300.0, 300.0))


def test_means_of_large_images():
    x = np.full((3, 40, 41, 3), 255, np.uint8)
    x[:, ::3] = RANDOM.integers(0, 256, x[:, ::3].shape)
    eye = np.tile(np.eye(3, dtype=np.float32), (COUNT, 1, 1))
    same(x, 2, 3, linear=0 * eye, mean=eye, offset=np.zeros((COUNT, 3), np.float32))


@pytest.mark.parametrize(
    ("row", "message"),
    [([1, 0, 40000.0], "within 32768 pixels"), ([1, np.nan, 0], "nan"), ([1, 2.0**30, 0], "107")],
)
def test_far_places_are_refused_in_the_hosts_words(row, message):
    x, matrices = images(1), np.tile(np.eye(2, 3), (COUNT, 1, 1))
    matrices[2, 0] = row
    drawn = BatchParams((7, 1, 1), ResampleOptions(), matrices)
    told = []
    for check in (lambda: drawn.check_reach(x.shape[1:]), lambda: drawn.applied(x, INDICES)):
        with pytest.raises(ValueError, match=message) as error:
            check()
        told.append(str(error.value))
    assert told[0] == told[1]
    BatchParams((7, 5, 1), ResampleOptions(), np.tile(np.eye(2, 3), (COUNT, 1, 1))).check_reach(
        x.shape[1:]
    )


EFFECTS = [
    [data.GaussianNoise((0, 40)), data.GaussianNoise(3.0, value_range=(-50, 300))],
    [data.RandomErasing((1, 1)), data.RandomErasing((1, 1), fill_value=[1.0, -2.0, 300.0])],
    [data.RandomErasing(0.9, (0.5, 1), fill_value=9), data.GaussianNoise(0)],
]


@pytest.mark.parametrize("augment", EFFECTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_noise_and_erasing(augment, seed):
    x, made = images(3), data.Augment([data.RandomFlip(), *augment], seed=seed)
    drawn = made.draw((7, 5, 3), INDICES + 10**12, 5)
    assert len(drawn.effects) == 2
    expected = made.apply_batch(x[INDICES], INDICES + 10**12, 5)
    np.testing.assert_array_equal(on_device(x, drawn), expected)


X = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 3), np.uint8)
Y = np.array([0, 1, 0, 1, 1], np.int32)
FULL = [
    data.RandomFlip(),
    data.RandomCrop(4, 4, padding=1),
    data.RandomRotation(0.1),
    data.RandomContrast(0.2),
    data.RandomHue(0.1),
    data.GaussianNoise(9.0),
    data.RandomErasing(),
]
SMALLER = [data.RandomCrop(3, 3), data.RandomBrightness(0.1)]


def model(device: str, shape: tuple[int, ...]) -> fastcnn.Sequential:
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax")]
    made = fastcnn.Sequential(stack, shape, seed=1, device=device)
    made.compile(fastcnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return made


def fit(made: fastcnn.Sequential, augment: list | None, x: np.ndarray = X, **settings) -> None:
    history = made.fit(x, Y, batch_size=3, augment=augment, verbose=0, **settings)
    made._history = history.history


def fitted(device: str, augment: list, x: np.ndarray = X, **settings) -> fastcnn.Sequential:
    made = model(device, data.Augment(augment).output_shape(x.shape[1:]))
    fit(made, augment, x, **settings)
    return made


def alike(one: fastcnn.Sequential, other: fastcnn.Sequential) -> None:
    np.testing.assert_allclose(other._history["loss"], one._history["loss"], rtol=1e-5)
    for here, there in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-7)


@pytest.fixture
def resampled(monkeypatch) -> list[int]:
    """The number of images of each batch that the device augments."""
    noted: list[int] = []
    resample = Images.resample

    def note(self, given, indices, count, *others):
        noted.append(count)
        return resample(self, given, indices, count, *others)

    monkeypatch.setattr(Images, "resample", note)
    return noted


@pytest.mark.parametrize("augment", [FULL, SMALLER], ids=["full", "smaller"])
def test_training_is_the_cpus(augment, resampled):
    alike(fitted("cpu", augment), fitted("cuda", augment))
    assert resampled == [3, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_of_floats_in_threads_and_of_images_that_repeat(workers, resampled):
    settings = {"x": X.astype(np.float32), "sampling": "balanced", "workers": workers}
    alike(fitted("cpu", FULL, **settings), fitted("cuda", FULL, **settings))
    assert resampled == [3, 2]


@pytest.mark.parametrize("last", [data.RandomGaussianBlur(), data.PerImageStandardization(), None])
def test_what_the_device_cannot_is_done_on_the_host(last, resampled, monkeypatch):
    augment = [data.RandomFlip(), last] if last else FULL
    here = fitted("cpu", augment)
    if last is None:  # the set is too large
        monkeypatch.setattr(engine.CudaEngine, "hold", lambda self, images, anew: False)
    alike(here, fitted("cuda", augment))
    assert not resampled


def test_another_object_in_an_augments_place_is_asked_on_the_host(resampled):
    from fastcnn.data.pipeline.transform import Transform

    class Own(data.Augment):
        pass

    class OwnNoise(data.GaussianNoise):
        def change(self, images, *others):
            images += 1

    assert Transform(data.Augment(FULL)).drawable((4, 4, 3))
    assert not data.Augment([OwnNoise(1.0)]).drawable
    assert not data.Augment([data.RandomErasing()], scale=2).drawable
    assert not Transform(Own(FULL)).drawable((4, 4, 3))
    assert not Transform(data.Augment(FULL), preprocessing=[data.CenterCrop(3, 3)]).drawable(
        (4, 4, 3)
    )


@pytest.mark.filterwarnings("ignore:.*scaled already")
def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="expects pixels from 0 to 255"):
        fitted("cuda", [data.RandomBrightness(0.1)], (X / 255).astype(np.float32))


def test_a_selection_is_what_it_stands_for():
    drawn = data.Augment(FULL, seed=3).draw((4, 4, 3), INDICES, 1)
    expected = data.Augment(FULL, seed=3).apply(X, INDICES, 1)
    found = np.asarray(Selection(X, INDICES, drawn))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_step_is_recorded_once_for_each_way_and_size(monkeypatch):
    made = []

    class Counted(engine.Replay):
        def __init__(self, *arguments):
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(engine, "Replay", Counted)
    here, there = (model(device, (4, 4, 3)) for device in ("cpu", "cuda"))
    for augment, ways in ((FULL, 1), (FULL, 1), (FULL[:2], 2), (None, 3)):
        for one in (here, there):
            fit(one, augment)
        alike(here, there)
        assert len(made) == 2 * ways  # batches of 3 and of 2


def test_device_memory_goes_with_what_is_dropped():
    there, x = model("cuda", (4, 4, 3)), X.copy()
    there.fit(x, Y, batch_size=3, verbose=0)
    held = there.engine()
    gc.collect()
    gc.disable()
    try:
        planned = [weakref.ref(one) for one in held._planned.values()]
        images = weakref.ref(held.sets.of(x))
        del x
        assert held.hold(X, anew=False)
        assert images() is None
        held._planned.clear()
        assert [one() for one in planned] == [None]
    finally:
        gc.enable()
