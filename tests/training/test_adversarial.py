"""Adversarial training: what is attacked, how far, and what comes of it."""

from __future__ import annotations

import re

import numpy as np
import photos
import pytest
from building import build
from fake_model import toy

import fastcnn
from fastcnn import AdversarialTraining, data, explain
from fastcnn import layers as L
from fastcnn.cli import main
from fastcnn.graph import autodiff
from fastcnn.training.adversarial import Attack, attack, climbed

X, Y = toy(40, shape=(6, 6, 1))


def network(seed=0, first=()):
    layers = [
        *first,
        L.Conv2D(4, 3, activation="relu"),
        L.Dropout(0.2),
        L.Flatten(),
        L.Dense(3, activation="softmax"),
    ]
    return build((6, 6, 1), layers, "sparse_categorical_crossentropy", "adam", seed=seed)


def weights(adversarial, epochs=(2,), seed=0, **arguments):
    model = network(seed)
    fit = {"x": X, "y": Y, "batch_size": 16, "verbose": 0, **arguments}
    for last in epochs:
        model.fit(epochs=last, initial_epoch=model.epoch, adversarial=adversarial, **fit)
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters])


def test_a_training_repeats_and_can_be_continued():
    whole = weights(0.1)
    np.testing.assert_array_equal(weights(AdversarialTraining(0.1)), whole)
    np.testing.assert_array_equal(weights(0.1, epochs=(1, 2)), whole)
    np.testing.assert_array_equal(weights(0.1, workers=2, augment=None), whole)
    for other in (None, 0.2, AdversarialTraining(0.1, steps=2), AdversarialTraining(0.1, mix=1)):
        assert (weights(other) != whole).any()


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("mix", [0.5, 1.0])
def test_a_part_of_the_batch_goes_up_the_loss_within_epsilon(steps, mix):
    model, bounds = network(), (-0.1, 1.2)
    attack = Attack(AdversarialTraining(0.25, steps, mix), bounds)
    before = X.copy()
    moved = attack.of_batch(model, X[:15], Y[:15], 0, 0, 16)
    np.testing.assert_array_equal(X, before)
    changed = (moved != X[:15]).any(axis=(1, 2, 3))
    assert changed.sum() == (8 if mix == 0.5 else 15)
    assert np.abs(moved - X[:15]).max() <= 0.25 * 1.3 + 1e-6
    assert moved.min() >= np.float32(-0.1) and moved.max() <= 1.2
    losses = [-np.log(model.predict(images)[np.arange(15), Y[:15]]) for images in (X[:15], moved)]
    assert (losses[1] > losses[0])[changed].all()
    others = attack.of_batch(model, X[:15], Y[:15], 0, 1, 16)
    assert (others != moved).any()


def features(count, seed):
    """A strong feature that is right in 19 of 20 images, and 60 faint ones that are together always
    right: what Tsipras et al. (2019) show that robustness costs."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count).astype(np.int32)
    sign = 2 * y[:, None] - 1
    strong = sign * np.where(random.random((count, 1)) < 0.95, 1, -1)
    faint = 0.3 * sign + 0.5 * random.standard_normal((count, 60))
    return np.concatenate([strong, faint], axis=1).astype(np.float32).reshape(-1, 1, 61, 1), y


def test_what_is_attacked_in_training_stands_attacks_and_pays_with_accuracy():
    (x, y), (held, labels) = features(1000, 0), features(1000, 1)
    curves = []
    bounds, epsilon = (-4, 4), 0.6 / 8
    for adversarial in (None, AdversarialTraining(epsilon, mix=1, bounds=bounds)):
        layers = [L.Flatten(), L.Dense(2, activation="softmax")]
        model = build((1, 61, 1), layers, "sparse_categorical_crossentropy", "adam", random=False)
        model.optimizer.learning_rate = 0.01
        model.fit(x, y, epochs=8, verbose=0, adversarial=adversarial)
        curves.append(explain.robustness(model, held, labels, [0, epsilon], bounds=bounds).array)
    (plain, attacked), (taught, stands) = (curve[2] for curve in curves)
    assert plain > 0.99 and attacked < 0.05
    assert stands > 0.7 and taught < plain


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = photos.photo_folder(tmp_path_factory.mktemp("adversarial") / "photos", count=5)
    return data.from_folder(root, (6, 6), color_mode="grayscale", in_memory=False)


def test_folders_and_iterables_can_be_attacked(pictures):
    network(first=[L.Rescaling(1 / 255)]).fit(pictures, verbose=0, adversarial=0.1)
    bounded = AdversarialTraining(0.1, bounds=(-1, 2))
    weights(bounded, epochs=(1,), x=iter([(X[:7], Y[:7]), (X[7:9], Y[7:9])]), y=None)
    mixed = network()
    mixed.compile("sgd", "categorical_crossentropy")
    mixed.fit(X, Y, verbose=0, augment=[data.MixUp(), data.RandomCrop(6, 6)], adversarial=0.1)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_epsilon_is_one_of_pixels_where_preprocessing_scales_them(mode, tmp_path):
    root = photos.photo_folder(tmp_path / "photos", count=5)
    photographs, step = data.from_folder(root, (6, 6), in_memory=False), data.ImageNetScaling(mode)
    layers = [L.Flatten(), L.Dense(3, activation="softmax")]
    model = build((6, 6, 3), layers, "sparse_categorical_crossentropy")
    model.preprocessing = [step]
    model.fit(photographs, verbose=0, adversarial=8 / 255)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3)).astype(np.float32)
    for source in (photographs, pixels):
        attacking = attack(model, AdversarialTraining(8 / 255, 5, 1), source, [step])
        moved = attacking.of_batch(model, step.apply(pixels.copy()), Y[:9], 0, 0, None)
        zero, one = (step.apply(np.full((1, 1, 1, 3), n, np.float32)) for n in (0, 1))
        back = (moved - zero) / (one - zero)
        back = back[..., ::-1] if mode == "caffe" else back
        assert 7.9 < np.abs(back - pixels).max() < 8.01
        assert back.min() > -0.01 and back.max() < 255.01


def test_images_from_0_to_1_are_not_taken_for_pixels():
    model = network(first=[L.Rescaling(2, offset=-1)])
    x = (X - X.min()) / (X.max() - X.min())
    assert attack(model, 0.1, x, []).bounds == (0, 1)
    assert attack(model, 0.1, 200 * x, []).bounds == (0, 255)


def test_what_is_outside_the_bounds_goes_no_further_out():
    images = np.array([[-0.5, 0.05, 0.5, 1.5]], np.float32)
    for length, expected in ((1, [-0.4, 0.15, 0.6, 1.5]), (-1, [-0.5, 0, 0.4, 1.4])):
        moved = climbed(np.ones_like, images, 0.1, (0.0, 1.0), 1, length)
        np.testing.assert_allclose(moved, [expected], atol=1e-6)


def test_frozen_layers_are_run_for_attacked_images_too():
    model = network()
    model.freeze(until="conv2d")
    model.fit(X, Y, epochs=2, verbose=0, adversarial=0.1)


WRONG_BOUNDS = AdversarialTraining(0.1, bounds=(0, 1))
REFUSED = {
    "no number": ({"adversarial": "strong"}, TypeError, "adversarial must be a number"),
    "too much": ({"adversarial": 2}, ValueError, "above 0 and at most 1"),
    "outside": (
        {"adversarial": AdversarialTraining(0.1, bounds=(0, 0.5))},
        ValueError,
        "bounds must hold all images",
    ),
    "bounds of other units, in a stream": (
        {"x": iter([(40 * X / abs(X).max(), Y)]), "y": None, "adversarial": WRONG_BOUNDS},
        ValueError,
        "bounds must hold all images",
    ),
    "all alike": ({"x": np.ones_like(X), "adversarial": 0.1}, ValueError, "AdversarialTraining("),
    "an iterable": ({"x": iter([(X, Y)]), "y": None, "adversarial": 0.1}, ValueError, "streamed"),
    "whitened": (
        {"augment": data.PerImageStandardization(), "adversarial": 0.1},
        ValueError,
        "prepared by fixed steps",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_attacked_is_refused_before_anything_changes(case):
    arguments, error, message = REFUSED[case]
    model = network()
    before = model.get_weights()
    with pytest.raises(error, match=re.escape(message)):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **arguments})
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)
    assert model.state.step == 0


def test_bounds_must_hold_a_folders_pixels(pictures):
    with pytest.raises(ValueError, match=r"Received \(0, 1\) for images from 0 to 255"):
        network().fit(pictures, verbose=0, adversarial=WRONG_BOUNDS)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"epsilon": 0}, ValueError),
        ({"steps": 0}, ValueError),
        ({"mix": 0}, ValueError),
        ({"mix": 1.5}, ValueError),
        ({"rate": 0}, ValueError),
        ({"bounds": (1, 0)}, ValueError),
        ({"bounds": 3}, TypeError),
    ],
)
def test_settings_are_checked(settings, error):
    with pytest.raises(error, match=next(iter(settings))):
        AdversarialTraining(**settings)


def test_a_model_that_passes_no_gradient_to_its_images_is_refused(monkeypatch):
    monkeypatch.delitem(autodiff.RULES, "pad")
    model = network(first=[L.ZeroPadding2D(1), L.Cropping2D(1)])
    model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"does not pass back to them. .* has no backward rule"):
        model.fit(X, Y, verbose=0, adversarial=0.1)


def test_the_command_line_attacks(tmp_path, capsys, monkeypatch):
    class Stopped(BaseException):
        """Thrown in place of a training."""

    def fit(model, *arguments, adversarial, **others):
        raise Stopped(adversarial)

    monkeypatch.setattr(fastcnn.Sequential, "fit", fit)
    for options, epsilon in (
        ((), None),
        (("--adversarial", "8/255"), 8 / 255),
        (("--set", "adversarial=0.25"), 0.25),
    ):
        with pytest.raises(Stopped) as stop:
            main(["train", "--model", "lenet5", "--out", str(tmp_path / "run"), *options])
        assert stop.value.args == (epsilon,)
    with pytest.raises(SystemExit):
        main(["train", "--adversarial", "2"])
    assert "such as 0.03 or 8/255, not '2'" in capsys.readouterr().err
