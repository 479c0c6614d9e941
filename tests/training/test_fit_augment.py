"""fit with augmentation, mixing, sampling and fixed preprocessing, and what predict makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_model import FakeModel, toy

import fastcnn
from fastcnn import layers
from fastcnn.callbacks import LambdaCallback
from fastcnn.data import (
    Augment,
    Decoder,
    GaussianNoise,
    PerImageStandardization,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    ZCAWhitening,
)
from fastcnn.data.augment.mixing import CutMix, MixUp
from fastcnn.data.augment.preprocessing import CenterCrop
from fastcnn.training.trainer import Trainer

COUNT = 24
X = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), np.uint8)
Y = (np.arange(COUNT) % 3).astype(np.int32)
DENSE, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
FULL = [RandomFlip("horizontal"), RandomCrop(8, 8, padding=2), RandomRotation(0.1)]


def net(loss=SPARSE, shape=(8, 8, 3), **options):
    model = fastcnn.Sequential(
        [
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ],
        input_shape=shape,
        seed=5,
        **options,
    )
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def fit(model, x=X, y=Y, **options):
    return Trainer.fit(model, x, y, **{"batch_size": 5, "verbose": 0, **options})


def same(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


class Spy(FakeModel):
    """Keeps the images and targets of every training and test batch."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.trained, self.tested = [], []
        train, test = self._engine.train, self._engine.test

        def spied(kept, run):
            def step(x, y, weight, capacity=None):
                kept.append((x.copy(), y.copy(), None if weight is None else weight.copy()))
                return run(x, y, weight)

            return step

        self._engine.train, self._engine.test = spied(self.trained, train), spied(self.tested, test)


def spy(loss=SPARSE):
    return Spy(loss, input_shape=(8, 8, 3))


def images(batches):
    return np.concatenate([x for x, _, _ in batches])


@pytest.mark.parametrize("augment", [FULL, [*FULL, MixUp()], Augment(FULL, seed=5)])
def test_any_number_of_workers_trains_the_same_weights(augment):
    models = [net(DENSE) for _ in range(4)]
    hot = np.eye(3, dtype=np.float32)[Y]
    for model, workers in zip(models, (0, 1, 3, None), strict=True):
        fit(model, y=hot, epochs=2, augment=augment, workers=workers)
    assert all(same(models[0], model) for model in models[1:])
    plain = net(DENSE)
    fit(plain, y=hot, epochs=2)
    assert not same(plain, models[0])


def test_a_resumed_training_repeats(tmp_path):
    whole, part = net(DENSE), net(DENSE)
    options = {"augment": [*FULL, CutMix(), PerImageStandardization()], "sampling": "balanced"}
    fit(whole, epochs=4, **options)
    fit(part, epochs=2, **options)
    part.save(tmp_path / "part.h5")
    resumed = fastcnn.load(tmp_path / "part.h5")
    fit(resumed, epochs=4, initial_epoch=resumed.epoch, **options)
    assert same(whole, resumed)
    assert len(resumed.preprocessing) == 1


def test_training_batches_alone_are_augmented():
    model = spy()
    fit(model, augment=[GaussianNoise(9.0)], validation_split=0.25, shuffle=False)
    assert len(images(model.trained)) == 18 and not np.array_equal(images(model.trained), X[:18])
    assert np.array_equal(images(model.tested), X[18:])
    Trainer.evaluate(model, X[:7], Y[:7])
    assert np.array_equal(model.tested[-1][0], X[:7])


def test_every_epoch_and_every_seed_augments_otherwise():
    seen = []
    for seed in (0, 0, 1):
        model = spy()
        model.seed = seed
        fit(model, augment=[RandomFlip()], epochs=2, shuffle=False)
        seen += [images(model.trained)[:COUNT], images(model.trained)[COUNT:]]
    assert np.array_equal(seen[0], seen[2]) and np.array_equal(seen[1], seen[3])
    assert not np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[4])


def test_randomness_goes_by_the_image_not_by_the_order():
    shuffled, ordered = spy(), spy()
    fit(shuffled, augment=[GaussianNoise(9.0)])
    fit(ordered, augment=[GaussianNoise(9.0)], shuffle=False, batch_size=7)
    one, other = ({x.tobytes() for x in images(model.trained)} for model in (shuffled, ordered))
    assert one == other and len(one) == COUNT


def test_a_crop_to_another_size_gives_prediction_the_middle():
    x = np.random.default_rng(1).integers(0, 256, (COUNT, 12, 10, 3), np.uint8)
    model, middle = net(), x[:, 2:10, 1:9]
    fit(model, x, augment=[RandomCrop(8, 8)], validation_split=0.25, epochs=2)
    assert [repr(step) for step in model.preprocessing] == ["CenterCrop(height=8, width=8)"]
    outputs = model.predict(x)
    assert np.array_equal(outputs, model.predict(middle))
    expected = -np.log(outputs[np.arange(COUNT), Y]).mean()
    assert model.evaluate(x, Y)[0] == pytest.approx(expected, rel=1e-5)


def test_a_refused_training_leaves_the_preprocessing_alone():
    model = net()
    with pytest.raises(ValueError, match=r"x: images of shape|x must have shape"):
        fit(model, X[:, :7], augment=[RandomCrop(7, 7), PerImageStandardization()])
    with pytest.raises(TypeError, match="callbacks"):
        fit(model, augment=[PerImageStandardization()], callbacks=[3])
    assert model.preprocessing == [] and model.state.step == 0


@pytest.mark.parametrize("shape", [(8, 8, 3), (5, 11, 3), (9, 7, 3)])
def test_center_crop_takes_the_middle_or_pads(shape):
    x = np.random.default_rng(2).random((2, *shape), np.float32)
    found = CenterCrop(7, 7).apply(x.copy())
    assert found.shape == (2, 7, 7, 3)
    height, width = (min(7, n) for n in shape[:2])
    top, left = ((n - kept) // 2 for n, kept in zip(shape[:2], (height, width), strict=True))
    below, right = (7 - height) // 2, (7 - width) // 2
    expected = np.zeros((2, 7, 7, 3), np.float32)
    expected[:, below : below + height, right : right + width] = x[
        :, top : top + height, left : left + width
    ]
    assert np.array_equal(found, expected)


def test_mixed_targets_are_dense_and_labels_become_rows():
    model = spy(DENSE)
    fit(model, augment=[MixUp(1.0)], validation_split=0.25)
    targets = np.concatenate([y for _, y, _ in model.trained])
    assert targets.shape == (18, 3) and targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    assert ((targets > 0) & (targets < 1)).any()
    assert {tuple(row) for _, y, _ in model.tested for row in y.tolist()} <= set(
        map(tuple, np.eye(3).tolist())
    )
    fit(spy(DENSE), augment=["mix_up"], validation_data=(X, Y))


def test_mixing_with_a_sparse_loss_says_what_to_do():
    model = spy()
    with pytest.raises(ValueError, match=r"CutMix\(factor=1.0\).*loss='categorical_crossentropy'"):
        fit(model, augment=[CutMix()])
    assert not model.trained


WRONG = [
    ({"augment": [3]}, TypeError, "augmentation.*3"),
    ({"augment": ["RandomFlop"]}, ValueError, "RandomFlop.*random_flip"),
    ({"augment": Augment(FULL, scale=0.1)}, ValueError, "scale and offset to a layer"),
    ({"augment": ["center_crop"]}, ValueError, "CenterCrop cannot be made from"),
    ({"augment": [RandomCrop(6, 6)]}, ValueError, r"\(n, 8, 8, 3\)"),
    ({"workers": -1}, ValueError, "fit: workers must be a whole number of at least 0"),
    ({"workers": 1.5}, TypeError, "fit: workers"),
    ({"sampling": "even"}, ValueError, "Unknown sampling 'even'.*balanced"),
    ({"class_weight": "even"}, TypeError, "'balanced'. Received 'even'"),
]


@pytest.mark.parametrize(("change", "kind", "words"), WRONG)
def test_wrong_arguments_are_refused_before_anything_changes(change, kind, words):
    model = spy()
    with pytest.raises(kind, match=words):
        fit(model, **change)
    assert not model.trained and model.preprocessing == []


RARE = np.array([0] * 18 + [1] * 4 + [2] * 2, np.int32)


@pytest.mark.filterwarnings("ignore:fit. the labels are grouped by class")
def test_balanced_class_weights_count_the_training_images():
    model = spy()
    fit(model, y=np.roll(RARE, 6), class_weight="balanced", validation_split=0.25, shuffle=False)
    labels = np.concatenate([y for _, y, _ in model.trained])
    weights = np.concatenate([w for _, _, w in model.trained])
    # 18 training images: 4 of class 1, 2 of class 2, 12 of class 0.
    table = np.array([18 / (3 * 12), 18 / (3 * 4), 18 / (3 * 2)], np.float32)
    assert np.array_equal(weights, table[labels])
    assert all(weight is None for _, _, weight in model.tested)


def test_class_weights_do_not_weigh_validation():
    model = spy()
    fit(model, class_weight={0: 100.0}, validation_split=0.5)
    assert max(weight.max() for _, _, weight in model.trained) == 100
    assert model.tested and all(weight is None for _, _, weight in model.tested)


@pytest.mark.parametrize("loss", [SPARSE, DENSE])
def test_balanced_sampling_draws_classes_evenly(loss):
    model = spy(loss)
    y = RARE if loss == SPARSE else np.eye(3)[RARE]
    fit(model, y=y, sampling="balanced", epochs=3)
    assert [len(x) for x, _, _ in model.trained[:5]] == [5, 5, 5, 5, 4]
    targets = np.concatenate([y for _, y, _ in model.trained])
    labels = targets if loss == SPARSE else targets.argmax(axis=1)
    for epoch in range(3):
        part = labels[epoch * COUNT : (epoch + 1) * COUNT]
        assert np.bincount(part).tolist() == [8, 8, 8]


def test_balanced_sampling_needs_classes():
    model = spy("mean_squared_error")
    model.metrics = []
    with pytest.raises(ValueError, match="sampling needs a loss with classes"):
        fit(model, y=np.eye(3)[Y], sampling="balanced")


def fitted(epsilon=1.0):
    return ZCAWhitening(epsilon).fit(X.astype(np.float32))


STEPS = [
    [PerImageStandardization()],
    [CenterCrop(8, 8), PerImageStandardization()],
    [fitted(), PerImageStandardization()],
]


@pytest.mark.parametrize("steps", STEPS)
def test_preprocessing_is_saved_and_predicts_the_same_bits(tmp_path, steps):
    model = net(preprocessing=steps)
    fit(model, epochs=2)
    model.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    assert [type(step) for step in loaded.preprocessing] == [type(step) for step in steps]
    outputs = model.predict(X)
    assert np.array_equal(loaded.predict(X), outputs)
    assert loaded.evaluate(X, Y) == model.evaluate(X, Y)
    bare = net()
    bare.set_weights(model.get_weights())
    assert not np.array_equal(bare.predict(X), outputs)


def test_every_way_in_goes_through_the_preprocessing():
    steps = [fitted(), PerImageStandardization()]
    seen = X.astype(np.float32)
    for step in steps:
        seen = step.apply(seen)
    model, bare = net(preprocessing=steps), net()
    assert np.array_equal(model.predict(X), bare.predict(seen))
    assert np.array_equal(model.activations(X, "conv2d"), bare.activations(seen, bare.layers[1]))
    assert model.gradients(X, Y)[0] == bare.gradients(seen, Y)[0]
    assert model.test_on_batch(X, Y) == bare.test_on_batch(seen, Y)
    assert model.train_on_batch(X, Y) == bare.train_on_batch(seen, Y)
    fit(model)
    fit(bare, seen)
    assert same(model, bare)


def test_preprocessing_leaves_the_users_images_alone():
    x = X.astype(np.float32)
    model = net(preprocessing=[PerImageStandardization()])
    model.predict(x)
    fit(model, x, augment=[MixUp()] if model.loss.target == "dense" else None)
    assert np.array_equal(x, X)


def test_a_whitening_matrix_is_no_part_of_the_configuration(tmp_path):
    model = net(preprocessing=[fitted()])
    assert len(json.dumps(model.get_config())) < 4000
    again = fastcnn.Sequential.from_config(model.get_config())
    with pytest.raises(ValueError, match=r"ZCAWhitening: call fit\(images\)"):
        again.predict(X)
    with pytest.raises(ValueError, match="ZCAWhitening"):
        again.save(tmp_path / "model.h5")
    assert not (tmp_path / "model.h5").exists()


def test_damaged_whitening_is_refused(tmp_path):
    import h5py

    path = tmp_path / "model.h5"
    net(preprocessing=[PerImageStandardization(), fitted()]).save(path)
    with h5py.File(path, "r+") as file:
        assert set(file["fastcnn/preprocessing"]) == {"1"}
        del file["fastcnn/preprocessing/1/mean"]
    with pytest.raises(fastcnn.hdf5.errors.FormatError, match=r"preprocessing/1.*mean"):
        fastcnn.load(path)
    with h5py.File(path, "r+") as file:
        del file["fastcnn/preprocessing"]
    with pytest.raises(fastcnn.hdf5.errors.FormatError, match="'/fastcnn/preprocessing'"):
        fastcnn.load(path)


def test_preprocessing_in_fits_list_joins_the_model_once():
    model = net()
    for _ in range(2):
        fit(model, augment=[RandomFlip(), PerImageStandardization()])
    assert [type(step) for step in model.preprocessing] == [PerImageStandardization]


@pytest.mark.parametrize(
    "step",
    [
        CenterCrop(8, 8),
        {"class_name": "CenterCrop", "config": {"height": 8, "width": 8}},
        Augment([CenterCrop(8, 8)]),
    ],
    ids=["object", "configuration", "Augment"],
)
def test_a_crop_in_fits_list_is_predictions_too(step):
    model, x = net(), np.pad(X, ((0, 0), (1, 1), (2, 2), (0, 0)))
    fit(model, x, augment=[RandomFlip(), step] if not isinstance(step, Augment) else step)
    assert [type(one) for one in model.preprocessing] == [CenterCrop]
    np.testing.assert_array_equal(model.predict(x), model.predict(X))


def test_the_model_takes_the_decoder_of_its_images():
    class Photos(Named):
        decoder = Decoder(8, 8, "rgb", "crop")

    class Foreign(Named):
        decoder = "a decoder of another library"

    class Larger(Named):
        decoder = Decoder(16, 16)

    model = net()
    for images, expected in ((Foreign, None), (Larger, None), (Photos, Photos.decoder)):
        fit(model, images(), None)
        assert model.decoder == expected
    fit(model)  # arrays say nothing about it
    assert model.decoder is Photos.decoder


def test_normalization_is_fitted_to_the_training_images():
    layer = layers.Normalization().adapt(X)
    np.testing.assert_allclose(layer.mean, X.reshape(-1, 3).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance, X.reshape(-1, 3).var(axis=0), rtol=1e-12)
    model = fastcnn.Sequential([layer, layers.ReLU()], (8, 8, 3))
    seen = model.activations(X, layer)
    np.testing.assert_allclose(seen.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=(0, 1, 2)), 1, rtol=1e-5)
    again = fastcnn.Sequential.from_config(model.get_config())
    assert np.array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match=r"adapt needs images.*\(0,\)"):
        layers.Normalization().adapt([])


def test_preprocessing_must_be_steps():
    with pytest.raises(TypeError, match="preprocessing must be a list"):
        net(preprocessing="zca")
    with pytest.raises(ValueError, match="Unknown preprocessing step 'whiten'"):
        net(preprocessing=["whiten"])


class Named:
    labels, class_names, dtype = Y, ["a", "b", "c"], np.uint8

    def __len__(self):
        return COUNT

    def images(self, indices, out):
        np.copyto(out, X[indices])


def test_class_names_come_from_the_data_where_the_model_has_none(tmp_path):
    model, named = net(), net()
    named.class_names = ["a", "b", "c"]
    for one in (model, named):
        fit(one, Named(), None, augment=FULL, validation_data=Named())
    assert model.class_names == named.class_names == ["a", "b", "c"]
    arrays = net()
    fit(arrays, augment=FULL)
    assert same(arrays, model)
    model.save(tmp_path / "model.h5")
    assert fastcnn.load(tmp_path / "model.h5").class_names == ["a", "b", "c"]


def test_a_data_sets_labels_become_rows_for_a_dense_loss():
    one, other = net(DENSE), net(DENSE)
    fit(one, Named(), None)
    fit(other, y=np.eye(3)[Y])
    assert same(one, other)


def test_an_error_of_a_worker_ends_fit_with_it_and_without_threads():
    import threading

    class Broken(Named):
        def images(self, indices, out):
            if 9 in indices:
                raise OSError("image 9 cannot be read")
            super().images(indices, out)

    model, ended, before = spy(), [], set(threading.enumerate())
    with pytest.raises(OSError, match="image 9"):
        fit(
            model,
            Broken(),
            None,
            workers=2,
            shuffle=False,
            callbacks=LambdaCallback(on_train_batch_end=lambda batch, logs: ended.append(batch)),
        )
    assert ended == [0]
    started = set(threading.enumerate()) - before
    assert not [t for t in started if t.name.startswith("fastcnn")]


def test_toy_images_learn_with_everything_on():
    x, y = toy(60, shape=(8, 8, 3))
    model = net(DENSE)
    model.compile(fastcnn.optimizers.Adam(0.02), DENSE, metrics=["accuracy"])
    history = fit(model, x * 255, y, augment=[RandomFlip(), MixUp()], epochs=3, workers=2)
    assert np.isfinite(history.history["loss"]).all()
