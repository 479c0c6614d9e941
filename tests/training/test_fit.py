"""fit, evaluate, predict and the callbacks on real models."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from fake_model import toy

import fastcnn
from fastcnn import layers, losses, optimizers
from fastcnn.callbacks import CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint
from fastcnn.metrics import F1Score, Metric, PerLabelAccuracy

X, Y = toy(48, shape=(6, 6, 1))


def net(optimizer="adam", loss="sparse_categorical_crossentropy", outputs=3, end="softmax"):
    model = fastcnn.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(outputs, activation=end),
        ],
        input_shape=(6, 6, 1),
        seed=3,
    )
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_learns():
    model = net(optimizers.Adam(0.02))
    history = model.fit(X, Y, batch_size=8, epochs=15, validation_split=0.25, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    assert history.history["val_accuracy"][-1] > 0.9
    assert model.epoch == 15


def test_evaluate_is_what_predict_says():
    model = net()
    model.fit(X, Y, verbose=0)
    outputs = model.predict(X, batch_size=7)
    loss, accuracy = model.evaluate(X, Y, batch_size=9)
    assert loss == pytest.approx(-np.log(outputs[np.arange(48), Y]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((outputs.argmax(axis=1) == Y).mean())


@pytest.mark.parametrize(
    ("loss", "end"),
    [("binary_crossentropy", "sigmoid"), (losses.BinaryCrossentropy(from_logits=True), "linear")],
)
def test_accuracy_of_a_binary_model(loss, end):
    model = net(optimizers.Adam(0.02), loss, outputs=1, end=end)
    history = model.fit(X, Y == 0, batch_size=8, epochs=3, verbose=0)
    threshold = 0.5 if end == "sigmoid" else 0.0
    right = (model.predict(X)[:, 0] > threshold) == (Y == 0)
    assert model.evaluate(X, Y == 0)[1] == pytest.approx(right.mean())
    assert len(history.history["accuracy"]) == 3


def test_resume_from_a_checkpoint_gives_the_same_bits(tmp_path):
    log = tmp_path / "history.csv"
    whole = net()
    one = whole.fit(
        X,
        Y,
        batch_size=10,
        epochs=4,
        verbose=0,
        callbacks=[ModelCheckpoint(tmp_path / "{epoch}.h5"), CSVLogger(log)],
    )
    text = log.read_text()
    resumed = fastcnn.load(tmp_path / "2.h5")
    two = resumed.fit(
        X,
        Y,
        batch_size=10,
        epochs=4,
        initial_epoch=resumed.epoch,
        verbose=0,
        callbacks=CSVLogger(log, append=True),
    )
    assert two.epoch == [2, 3]
    assert two.history["loss"] == one.history["loss"][2:]
    assert same(whole.get_weights(), resumed.get_weights())
    assert log.read_text() == text
    with open(log, newline="") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == one.history["loss"]


def test_early_stopping_restores_the_best_weights():
    model, kept = net(optimizers.SGD(0.5)), []
    losses_to_come = iter([3.0, 1.0, 2.0, 2.0])
    history = model.fit(
        X,
        Y,
        epochs=9,
        validation_split=0.25,
        verbose=0,
        callbacks=[
            LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights())),
            LambdaCallback(
                on_epoch_end=lambda epoch, logs: logs.update(val_loss=next(losses_to_come))
            ),
            EarlyStopping(patience=2, restore_best_weights=True),
        ],
    )
    assert history.epoch == [0, 1, 2, 3]
    assert same(model.get_weights(), kept[1]) and not same(model.get_weights(), kept[3])


def test_a_loss_that_is_not_finite_names_layer_epoch_and_step():
    model, kept = net(optimizers.SGD(1e30)), []
    with pytest.raises(fastcnn.NonFiniteError) as caught:
        model.fit(
            X,
            Y,
            batch_size=8,
            epochs=3,
            verbose=0,
            callbacks=LambdaCallback(
                on_train_batch_begin=lambda batch, logs: kept.append(model.get_weights())
            ),
        )
    error = caught.value
    assert f"epoch 1, step {error.step + 1}" in str(error) and f"'{error.layer}'" in str(error)
    assert error.layer in [layer.name for layer in model.layers]
    assert error.step >= 1 and error.history.epoch == []
    assert all(np.isfinite(array).all() for array in model.get_weights())
    assert same(model.get_weights(), kept[-1])
    assert model.state.step == error.step


def test_wrong_input_changes_nothing():
    model = net()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"x must have shape \(n, 6, 6, 1\).*'conv2d'.*\(48, 6"):
        model.fit(X[..., 0], Y, verbose=0)
    with pytest.raises(ValueError, match="labels from 0 to 2: layer 'dense'"):
        model.fit(X, Y + 1, verbose=0)
    assert model.state.step == 0 and same(model.get_weights(), before)


def test_a_metric_may_keep_what_it_is_given():
    """The engine uses its arrays again for the next batch."""

    class Kept(Metric):
        name = "kept"

        def reset(self):
            self.outputs, self.targets = [], []

        def update(self, batch, y, weight):
            self.outputs.append(batch.outputs)
            self.targets.append(y)

        def result(self):
            outputs = np.concatenate(self.outputs or [np.zeros((0, 3))])
            targets = np.concatenate(self.targets or [np.zeros(0)])
            return float(np.mean(outputs.argmax(axis=1) == targets))

    rng = np.random.default_rng(1)
    x, y = rng.random((50, 6), dtype=np.float32), rng.integers(0, 3, 50)
    model = fastcnn.Sequential([layers.Dense(3, activation="softmax")], (6,))
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy", Kept()])
    found = model.evaluate(x, y, batch_size=8, return_dict=True)
    expected = np.mean(model.predict(x).argmax(axis=1) == y)
    assert found["kept"] == pytest.approx(expected) == pytest.approx(found["accuracy"])


@pytest.mark.parametrize("logits", [False, True])
def test_answers_of_several_labels(logits):
    rng = np.random.default_rng(2)
    x, y = rng.random((40, 6), dtype=np.float32), rng.integers(0, 2, (40, 4))
    model = fastcnn.Sequential([layers.Dense(4, activation=None if logits else "sigmoid")], (6,))
    loss = losses.BinaryCrossentropy(from_logits=logits)
    names = ["accuracy", "binary_accuracy", "precision", "f1_score", "auc"]
    model.compile("sgd", loss, [*names, PerLabelAccuracy(), F1Score(None, name="f1")])
    history = model.fit(x, y, epochs=1, verbose=0, validation_data=(x, y)).history
    assert [f"val_{name}" for name in names] == [name for name in history if name[4:] in names]
    outputs = model.predict(x)
    right = (outputs > (0 if logits else 0.5)) == (y > 0)
    assert history["val_accuracy"] == pytest.approx([right.mean()])
    assert history["val_binary_accuracy"] == pytest.approx([right.mean()])
    for label in range(4):
        name = f"val_per_label_accuracy_{label}"
        assert history[name] == pytest.approx([right[:, label].mean()])
    each = [history[f"val_f1_{label}"][0] for label in range(4)]
    assert history["val_f1_score"] == pytest.approx([np.mean(each)])
