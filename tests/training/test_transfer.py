"""Frozen layers: what they compute in training, and what is kept of it from epoch to epoch."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import photos
import pytest
from fake_model import toy

import fastcnn
from fastcnn import callbacks, data
from fastcnn import layers as L
from fastcnn.training.feature_cache import FeatureBatch, FeatureCache

X, Y = toy(50, shape=(8, 8, 2))
WIDE = toy(50, shape=(8, 8, 3))[0]
WAYS = {
    "arrays": {},
    "in order": {"shuffle": False},
    "validated": {"validation_data": (X[:19], Y[:19])},
    "held out": {"validation_split": 0.3},
    "weighted": {"class_weight": "balanced", "sample_weight": np.linspace(0.5, 1, 50)},
    "balanced": {"sampling": "balanced"},
    "steps": {"x": X[:48], "y": Y[:48], "steps_per_epoch": 2, "validation_steps": 2},
}


def net(head=(), channels=2):
    layers = [
        L.Conv2D(8, 3, padding="same", use_bias=False, name="conv"),
        L.BatchNormalization(name="norm"),
        L.ReLU(),
        L.Residual([L.Conv2D(8, 3, padding="same"), L.BatchNormalization()], name="block"),
        L.MaxPooling2D(name="pool"),
        L.ZeroPadding2D(1, name="padding"),
        *head,
        L.Conv2D(4, 3, name="top", activation="relu"),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(3, activation="softmax", name="scores"),
    ]
    model = fastcnn.Sequential(layers, input_shape=(8, 8, channels), seed=3, device="cpu")
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    rng = np.random.default_rng(0)
    for parameter in model.parameters:
        if parameter.kind == "moving":
            parameter.value[...] = rng.uniform(0.5, 2, parameter.shape)
    return model


def trained(keep, until="pool", epochs=3, channels=2, **arguments):
    """The history of a training and the weights after it."""
    model = net(channels=channels)
    model.freeze(until=until)
    given = {"x": X, "y": Y, "batch_size": 8, "epochs": epochs, "verbose": 0, **arguments}
    if "validation_steps" in given:
        given["validation_data"] = X[:19], Y[:19]
    history = model.fit(keep_features=keep, **given)
    return history.history, model.get_weights(), model


def assert_same_bits(one, other):
    assert one[0] == other[0]
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_kept_features_give_the_same_bits(way):
    assert_same_bits(trained(True, **WAYS[way]), trained(False, **WAYS[way]))


def test_frozen_layers_keep_weights_and_statistics():
    model = net()
    before = {p.path: p.value.copy() for p in model.parameters}
    model.freeze(until="pool")
    model.fit(X, Y, epochs=2, verbose=0)
    moved = {p.path for p in model.parameters if not np.array_equal(p.value, before[p.path])}
    assert moved == {"top/kernel", "top/bias", "scores/kernel", "scores/bias"}


class Counted:
    """A Dataset that counts how often each image is read."""

    labels = Y
    image_shape = (8, 8, 2)

    def __init__(self, deterministic):
        self.reads = np.zeros(len(Y), int)
        self.deterministic = deterministic

    def __len__(self):
        return len(Y)

    def images(self, indices, out):
        self.reads[indices] += 1
        out[...] = X[indices]


@pytest.mark.parametrize(("deterministic", "reads"), [(True, 1), (False, 3)])
def test_images_that_are_always_the_same_are_read_once(deterministic, reads):
    source = Counted(deterministic)
    trained(True, x=source, y=None)
    assert (source.reads == reads).all()


@pytest.mark.parametrize(
    ("change", "depth"),
    [
        (lambda model: None, 0),
        (lambda model: model.freeze(), 8),
        (lambda model: model.freeze(until="pool"), 5),
        # Statistics of the batch, which a trained normalization takes, change with its companions.
        (lambda model: (model.freeze("pool"), setattr(model.layers[1], "trainable", True)), 1),
        (lambda model: (model.freeze("pool"), model.unfreeze("norm")), 1),
        (lambda model: setattr(model, "trainable", False), 0),
    ],
)
def test_frozen_depth(change, depth):
    """Padding goes with the convolution behind it, and dropout is drawn anew for each batch."""
    model = net()
    change(model)
    assert model.frozen_depth() == depth


def test_what_trains_or_is_random_below_ends_the_frozen_part():
    side = L.AuxiliaryClassifier([L.Flatten(), L.Dense(3, activation="softmax")])
    for head, depth in ((L.SpatialDropout2D(0.1), 5), (side, 5), (L.SpatialDropout2D(0), 7)):
        model = net([head])
        model.freeze(until=head)
        assert model.frozen_depth() == depth


def test_a_frozen_layer_trained_again_meanwhile_counts_from_the_next_step_on():
    def thaw(at):
        steps = iter(range(100))

        def on_step(batch, logs, model=None):
            if next(steps) == at:
                thawed[0].unfreeze("block")

        return callbacks.LambdaCallback(on_train_batch_end=on_step)

    results = []
    for keep in (True, False):
        model, thawed = net(), []
        thawed.append(model)
        model.freeze(until="pool")
        history = model.fit(
            X, Y, batch_size=8, epochs=3, verbose=0, callbacks=thaw(9), keep_features=keep
        )
        results.append((history.history, model.get_weights()))
    assert_same_bits(*results)


def test_features_of_other_weights_are_made_anew():
    def shift(model):
        def on_epoch(epoch, logs):
            model.layer("conv").parameters[0].value[...] *= 1.1

        return callbacks.LambdaCallback(on_epoch_end=on_epoch)

    results = []
    for keep in (True, False):
        model = net()
        model.freeze(until="pool")
        history = model.fit(X, Y, epochs=3, verbose=0, callbacks=shift(model), keep_features=keep)
        results.append((history.history, model.get_weights()))
    assert_same_bits(*results)


def test_augmented_images_are_not_kept(monkeypatch):
    monkeypatch.setattr(FeatureCache, "write", pytest.fail)
    trained(True, augment=data.RandomFlip())


def given_memory(monkeypatch, images):
    """Let the features of so many images be a quarter of the free memory."""
    monkeypatch.setattr("fastcnn.utils.system.available_memory", lambda: 4 * images * 128 * 4)


def test_too_many_features_for_the_memory_are_not_kept(monkeypatch, capsys):
    given_memory(monkeypatch, 49)
    monkeypatch.setattr(FeatureCache, "write", pytest.fail)
    trained(True, epochs=1, verbose=2)
    assert (
        "Layers up to 'pool' are frozen: what they make of an image is computed anew in each "
        "epoch: it takes 25.0 KiB, and at most a quarter of the free memory, 24.5 KiB, is given to "
        "it." in capsys.readouterr().err
    )


@pytest.mark.parametrize(("room", "kept"), [(66, {8: 6}), (67, {8: 8, 3: 1})])
def test_validation_shares_the_memory_of_the_training(monkeypatch, room, kept):
    given_memory(monkeypatch, room)
    sizes = []

    def counted(values, head):
        sizes.append(len(values))
        return FeatureBatch(values, head)

    monkeypatch.setattr("fastcnn.training.epoch_iterator.FeatureBatch", counted)
    trained(True, x=X[:48], y=Y[:48], validation_data=(X[:19], Y[:19]), epochs=1)
    assert Counter(sizes) == kept


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """20 pictures of each of three classes, of which three end behind their headers."""
    root = photos.photo_folder(
        tmp_path_factory.mktemp("kept") / "photos", ("cat", "cow", "dog"), 20, 8, 8
    )
    for name in ("cat/03", "cat/11", "dog/04"):
        content = photos.encoded(photos.colours(40, 40))
        photos.write(root / f"{name}.png", content[: len(content) // 2])
    return root


@pytest.mark.filterwarnings("ignore:.* cannot be used, or no longer")
@pytest.mark.parametrize("side", ["x", "validation_data"])
def test_unreadable_pictures_do_not_end_the_keeping_of_the_others(photographs, side, monkeypatch):
    reads, decode = [], data.Decoder.__call__

    def counted(decoder, path, *others):
        reads.append(path)
        return decode(decoder, path, *others)

    monkeypatch.setattr(data.Decoder, "__call__", counted)
    results = []
    for keep, most in ((True, 70), (False, 190)):
        reads.clear()
        folder = data.from_folder(photographs, (8, 8), in_memory=False, on_error="skip")
        training = {"x": folder, "y": None} if side == "x" else {"x": WIDE, side: folder}
        results.append(trained(keep, channels=3, batch_size=2, **training))
        assert most - 10 < len(reads) < most  # 60 in each of three epochs, and some twice
    assert_same_bits(*results)


def test_frozen_layers_train_as_inference_computes():
    """Normalization is folded into the convolution, and no gradient goes back."""
    model = net()
    model.freeze(until="pool")
    program, _ = model.program_and_roles("train", 8)
    below = [op for op in program.ops if op.layer.split("/")[0] in ("conv", "norm", "block")]
    kinds = [op.kind for op in below]
    assert kinds.count("moving_scale_shift") == 2
    assert not {"batch_moments", "scale_shift"} & set(kinds)
    assert not [op for op in below if op.kind.endswith(("_dx", "_dw"))]


def test_freeze_refuses_layers_inside_others_and_of_other_models():
    model = net()
    sentence = (
        "is inside Residual 'block': name that one. For it alone, set "
        "model.layer('block/conv2d').trainable."
    )
    for call in (model.freeze, model.unfreeze):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            call("block/conv2d")
    with pytest.raises(ValueError, match="is a layer of another model"):
        model.unfreeze(since=net().layers[0])
    with pytest.raises(ValueError, match="pool"):
        model.freeze(until="pol")
    assert all(layer.trainable for layer in model.layers)


def test_a_layer_inside_another_one_is_frozen_by_itself():
    model = net()
    model.layer("block/conv2d").trainable = False
    before = model.layer("block/conv2d").parameters[0].value.copy()
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.layer("block/conv2d").parameters[0].value, before)


def test_a_saved_model_stays_frozen(tmp_path):
    model = net()
    model.freeze(until="pool")
    model.save(tmp_path / "model.h5")
    assert fastcnn.load(tmp_path / "model.h5").frozen_depth() == 5
    model.layer("block/conv2d").trainable = True
    model.save(tmp_path / "model.h5")
    block = fastcnn.load(tmp_path / "model.h5").layer("block")
    assert [layer.trainable for layer in block.sublayers] == [True, False]


def test_fit_says_what_is_kept(capsys):
    trained(True, epochs=1, verbose=2)
    assert (
        "Layers up to 'pool' are frozen: what they make of an image is computed once, and kept "
        "until the training ends (25.0 KiB)." in capsys.readouterr().err
    )


OPTIMIZERS = (
    fastcnn.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    fastcnn.optimizers.Adam(0.01, weight_decay=0.1),
    fastcnn.optimizers.RMSprop(0.01),
    fastcnn.optimizers.Adagrad(0.01),
)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
def test_a_multiplier_is_another_learning_rate(optimizer):
    """Of a layer, and of all inside one that have none of their own: the same bits."""

    def weights(rate, multipliers):
        model, config = net(), optimizer.get_config()
        changed = type(optimizer).from_config({**config, "learning_rate": rate})
        model.compile(changed, "sparse_categorical_crossentropy")
        model.learning_rate_multipliers = multipliers
        model.train_on_batch(X[:8], Y[:8])
        return {parameter.path: parameter.value.copy() for parameter in model.parameters}

    mixed = weights(0.01, {"block": 0.5, "block/conv2d": 0.25, "scores": 2})
    alone = {rate: weights(rate, {}) for rate in (0.0025, 0.005, 0.01, 0.02)}
    rates = {"block/conv2d": 0.0025, "block": 0.005, "scores": 0.02, "": 0.01}
    for path, value in mixed.items():
        rate = next(rate for start, rate in rates.items() if path.startswith(start))
        np.testing.assert_array_equal(value, alone[rate][path], err_msg=path)


def test_multipliers_are_checked_saved_and_go_with_their_layers(tmp_path):
    model = net()
    for value, error, message in (
        ({"cnv": 1}, ValueError, "Did you mean 'conv'"),
        ({"conv": 0}, ValueError, "above 0"),
        ([1], TypeError, "must be a dictionary"),
    ):
        with pytest.raises(error, match=message):
            model.learning_rate_multipliers = value
    model.learning_rate_multipliers = {"conv": 0.1, "scores": 2}
    model.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    assert loaded.learning_rate_multipliers == {"conv": 0.1, "scores": 2}
    loaded.replace_head(4, after="pool")
    assert loaded.learning_rate_multipliers == {"conv": 0.1}
    with pytest.raises(TypeError, match="cannot be changed in place"):
        model.learning_rate_multipliers["conv"] = 1


def test_multipliers_may_change_between_steps():
    def losses(multipliers):
        model = net()
        changes = iter(multipliers)

        def on_step(batch, logs):
            model.learning_rate_multipliers = next(changes)

        steps = callbacks.LambdaCallback(on_train_batch_begin=on_step)
        history = model.fit(X[:24], Y[:24], batch_size=8, verbose=0, callbacks=steps)
        return history.history, model.get_weights()

    assert_same_bits(losses([{}, {"conv": 1}, {}]), losses([{}, {}, {"top": 1}]))
    assert losses([{}, {"conv": 0.5}, {}])[0] != losses([{}, {}, {}])[0]
