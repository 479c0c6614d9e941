"""What fit's `augment` becomes: fitted to the training images alone, in order, in the right range,
and never silently another thing than was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit_augment import DENSE, X, Y, fit, net, same, spy

from fastcnn.data import (
    Augment,
    CenterCrop,
    GaussianNoise,
    MixUp,
    PCAColor,
    PerImageStandardization,
    RandomBrightness,
    RandomErasing,
    RandomFlip,
    ZCAWhitening,
)
from fastcnn.data.folder.splitting import split_source
from fastcnn.layers import Normalization, Rescaling

FLOATS = (X / 255).astype(np.float32)


class Source:
    """The images as a data set, which says which of them were asked for."""

    labels, dtype = Y, np.uint8

    def __init__(self):
        self.asked = []

    def __len__(self):
        return len(X)

    def images(self, indices, out):
        self.asked.append(indices.tolist())
        out[...] = X[indices]


TRAINED = split_source(Source(), Y, 0.25, net().seed)[0]


class Kept:
    """Keeps what augmentation is fitted with."""

    def __init__(self, monkeypatch, kind):
        self.found = []
        original = kind.fit

        def fit(one, images):
            self.found.append(len(images))
            return original(one, images)

        monkeypatch.setattr(kind, "fit", fit)


@pytest.mark.parametrize("name", ["pca_color", "PCAColor", PCAColor, PCAColor()])
@pytest.mark.parametrize("whole", [False, True])
def test_colours_are_fitted_to_the_training_images_alone(monkeypatch, name, whole):
    kept = Kept(monkeypatch, PCAColor)
    options = {} if whole else {"validation_split": 0.25}
    for x, y, train in ((X, Y, np.arange(18)), (Source(), None, TRAINED)):
        train = np.arange(len(X)) if whole else train
        model, expected = net(), net()
        fit(expected, x, y, augment=[PCAColor().fit(X[train])], **options)
        kept.found.clear()
        fit(model, x, y, augment=[name], **options)
        assert kept.found.pop() == len(train) and not kept.found
        assert same(model, expected)
    assert not isinstance(name, PCAColor) or name.components is None


@pytest.mark.parametrize(("x", "train"), [(X, np.arange(18)), (Source(), TRAINED)])
def test_whitening_is_fitted_to_the_training_images_and_kept(x, train):
    y = Y if isinstance(x, np.ndarray) else None
    model, expected, given = net(), net(), ZCAWhitening(1.0)
    fit(model, x, y, augment=[RandomFlip(), given], validation_split=0.25)
    own = ZCAWhitening(1.0).fit(X[train])
    fit(expected, x, y, augment=[RandomFlip(), own], validation_split=0.25)
    assert same(model, expected) and given.matrix is None
    (step,) = model.preprocessing
    assert np.array_equal(step.matrix, own.matrix)
    # A training that goes on keeps what the model has, though its images be others.
    fit(model, X[:9], Y[:9], augment=[ZCAWhitening(1.0)])
    assert model.preprocessing == [step]
    if isinstance(x, Source):
        assert all(set(asked) <= set(train) for asked in x.asked[:1])


def test_a_stream_cannot_be_read_beforehand():
    with pytest.raises(ValueError, match=r"as PCAColor.*, must be fitted before where x is"):
        fit(net(), iter([(X, Y)]), None, augment=["pca_color"])


def test_whitening_fitted_otherwise_is_refused():
    one, other = ZCAWhitening(1.0).fit(X[:12]), ZCAWhitening(1.0).fit(X[12:])
    model = net()
    fit(model, augment=[one])
    copy = ZCAWhitening(1.0).set_arrays(one.arrays())
    for _ in range(2):
        fit(model, augment=[copy])
    assert model.preprocessing == [one]
    for wrong in (other, ZCAWhitening(2.0).set_arrays(one.arrays())):
        before = model.get_weights()
        with pytest.raises(ValueError, match=r"has ZCAWhitening\(epsilon=1.0\), fitted to other"):
            fit(model, augment=[wrong])
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    model.preprocessing = []
    fit(model, augment=[other])
    assert model.preprocessing == [other]


BEFORE = [
    [PerImageStandardization(), GaussianNoise(0.1)],
    [CenterCrop(8, 8), "random_flip"],
    [RandomFlip(), "per_image_standardization", MixUp(), RandomFlip()],
]


@pytest.mark.parametrize("listed", BEFORE)
def test_a_fixed_step_before_a_random_one_is_refused(listed):
    model = spy(DENSE)
    with pytest.raises(ValueError, match=r"must stand behind it. Expected \[(Gau|Ran).*Received"):
        fit(model, augment=listed)
    assert not model.trained and model.preprocessing == []
    only = [one for one in listed if not isinstance(one, MixUp)]
    with pytest.raises(ValueError, match=r"must stand behind it"):
        Augment(only)


def test_mixing_may_stand_anywhere():
    orders = ([MixUp(), PerImageStandardization()], [PerImageStandardization(), MixUp()])
    models = [net(DENSE), net(DENSE)]
    for model, listed in zip(models, orders, strict=True):
        fit(model, augment=listed)
    assert same(*models)


# The net begins with Rescaling(1 / 255), which is told of images that need none.
scaled_twice = pytest.mark.filterwarnings("ignore:.*scaled already")
BYTEWISE = [RandomBrightness(0.2), GaussianNoise(5), RandomErasing()]


@scaled_twice
@pytest.mark.parametrize("one", BYTEWISE)
@pytest.mark.parametrize("low", [0, -1])
def test_floats_from_0_to_1_need_their_value_range(one, low):
    x = FLOATS if low == 0 else 2 * FLOATS - 1

    class Floats(Source):
        dtype = np.float32

        def images(self, indices, out):
            out[...] = x[indices]

    name = type(one).__name__
    instead = r"\(0, 1\)" if low == 0 else r"\(-\d.*, "
    for source, y in ((x, Y), (Floats(), None), (iter([(x, Y)]), None)):
        words = rf"{name}.* expects pixels from 0 to 255.*first batch: give value_range={instead}"
        with pytest.raises(ValueError, match=words):
            fit(net(), source, y, augment=[RandomFlip(), one])


@scaled_twice
def test_other_values_are_taken_as_they_are():
    ranged = [
        RandomBrightness(0.2, (0, 1)),
        GaussianNoise(0.1, (0, 1)),
        RandomErasing(fill_value=0),
    ]
    for x, listed in (
        (FLOATS, ranged),
        (FLOATS, [RandomFlip()]),
        (X.astype(np.float32), BYTEWISE),
        (X // 200, BYTEWISE),  # bytes are bytes, dark as they be
        (np.zeros_like(FLOATS), BYTEWISE),  # and black is black
    ):
        fit(net(), x, augment=listed)


@pytest.mark.parametrize("layer", [Rescaling(1 / 255), Normalization, "Rescaling", "normalization"])
def test_layers_belong_into_the_model(layer):
    described = {"class_name": "Rescaling", "config": {"scale": 0.5}}
    for one in (layer, described):
        for use in (Augment, lambda listed: fit(net(), augment=listed)):
            with pytest.raises(TypeError, match=r"Rescaling and Normalization are layers: begin"):
                use([RandomFlip(), one])


def test_an_unknown_name_lists_both_spellings():
    words = r"Did you mean 'random_flip'.*random_flip \(RandomFlip\), random_crop \(RandomCrop\)"
    with pytest.raises(ValueError, match=words):
        Augment(["random_flop"])


@pytest.mark.parametrize("kind", [RandomBrightness, GaussianNoise])
def test_a_pixel_that_is_no_number_ends_training_in_words(kind):
    x = X.astype(np.float32)
    x[3, 2, 2, 1] = np.nan

    class Broken(Source):
        dtype = np.float32

        def images(self, indices, out):
            out[...] = x[indices]

    from fastcnn.backends.step import NonFiniteError

    with pytest.raises(NonFiniteError):
        fit(net(), Broken(), None, augment=[kind(0.1)])
