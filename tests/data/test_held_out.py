"""What fit holds out of sources that are sorted by class: a share of each class, the same images
as from_folder and the command line hold out."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
from fake_model import FakeModel
from PIL import Image

from fastcnn import data
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.folder.splitting import split_source
from fastcnn.training.trainer import Trainer

SIZE = (6, 6)
COUNT = 12
"""Images of each of the three classes."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of three classes; each image has a red value of its own."""
    root = tmp_path_factory.mktemp("sorted")
    for k, name in enumerate("abc"):
        (root / name).mkdir()
        for i in range(COUNT):
            red = k * COUNT + i
            Image.new("RGB", SIZE, (red, 80 * k, 0)).save(root / name / f"{i}.png")
    return root


class Watching(FakeModel):
    """Keeps the red values of what it is trained and tested with, and the targets."""

    def __init__(self, loss="sparse_categorical_crossentropy", seed=0, classes=3):
        super().__init__(
            loss, input_shape=(*SIZE, 3), rate=1e-6, seed=seed, classes=classes, metric_names=()
        )
        self.tested = []
        test = self._engine.test

        def spied(x, *others):
            self.tested.extend(x[:, 0, 0, 0].astype(int).tolist())
            return test(x, *others)

        self._engine.test = spied

    @property
    def trained(self):
        return sorted(map(int, self.engine().seen))


def held_out(source, share=0.25, **options):
    """The red values that fit validates with, where they and those trained on are all there are."""
    model = Watching(**options)
    Trainer.fit(model, source, validation_split=share, verbose=0)
    assert sorted([*model.trained, *model.tested]) == list(range(3 * COUNT))
    return sorted(model.tested)


class TorchFolder:
    """Behaves as torchvision's ImageFolder."""

    def __init__(self, folder):
        self.root = folder.root
        self.samples = [(folder.path(i), label) for i, label in enumerate(folder.labels.tolist())]
        self.targets, self.classes = folder.labels.tolist(), list(folder.class_names)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        return Image.open(path), label


class Sorted:
    """A Dataset without names, sorted by class."""

    image_shape, dtype = (*SIZE, 3), np.uint8

    def __init__(self, folder, labels=None):
        self._x = folder.x
        self.labels = folder.labels if labels is None else labels

    def __len__(self):
        return len(self._x)

    def images(self, indices, out):
        out[...] = self._x[indices]


@pytest.mark.parametrize("seed", [0, 3])
def test_a_folder_is_split_as_from_folder_splits_it(root, tmp_path, seed):
    _, held = data.from_folder(root, SIZE, validation_split=0.25, seed=seed)
    expected = sorted(held.x[:, 0, 0, 0].tolist())
    assert np.bincount(np.array(expected) // COUNT).tolist() == [3, 3, 3]
    whole = data.from_folder(root, SIZE)
    data.pack(whole, tmp_path / "packed.h5")
    streamed = data.from_folder(root, SIZE, in_memory=False)
    for source in (whole, streamed, data.from_packed(tmp_path / "packed.h5"), TorchFolder(whole)):
        assert held_out(source, seed=seed) == expected


def test_another_seed_holds_out_others(root):
    source = data.from_folder(root, SIZE)
    assert held_out(source, seed=1) != held_out(source, seed=2)


def test_damage_changes_nothing_for_the_others(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    lost = [copy / "a" / "0.png", copy / "b" / "7.png"]
    for path in lost:
        path.write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="2 of 36 files"):
        damaged = data.from_folder(copy, SIZE, on_error="skip")
    model = Watching()
    Trainer.fit(model, damaged, validation_split=0.25, verbose=0)
    assert set(model.tested) == set(held_out(data.from_folder(root, SIZE))) - {0, COUNT + 7}


def test_what_turns_out_damaged_in_a_batch_counts_once(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    source = data.from_folder(copy, SIZE, on_error="skip", in_memory=False)
    before = split_source(source, source.labels, 0.25, 0)
    picture = copy / "a" / "5.png"
    picture.write_bytes(picture.read_bytes()[:45])
    with pytest.warns(UserWarning, match="5.png"):
        Trainer.fit(Watching(), source, verbose=0)
    assert [left.path for left in source.report.skipped] == ["a/5.png"]
    after = split_source(source, source.labels, 0.25, 0)
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize("rows", [False, True])
def test_a_dataset_without_names_is_split_by_class_and_position(root, rows):
    folder = data.from_folder(root, SIZE)
    loss = "categorical_crossentropy" if rows else "sparse_categorical_crossentropy"
    labels = np.eye(3, dtype=np.float32)[folder.labels] if rows else None
    found = held_out(Sorted(folder, labels), loss=loss)
    assert np.bincount(np.array(found) // COUNT).tolist() == [3, 3, 3]
    # Not the last ones of each class either.
    assert found != [k * COUNT + i for k in range(3) for i in range(COUNT - 3, COUNT)]
    assert found == held_out(Sorted(folder))


def test_targets_without_classes_are_held_out_by_chance(root):
    folder = data.from_folder(root, SIZE)
    targets = np.random.default_rng(0).random((3 * COUNT, 3), np.float32)
    found = held_out(Sorted(folder, targets), loss="mean_squared_error")
    assert len(found) == 9 and found != list(range(27, 36))


@pytest.mark.filterwarnings("ignore:fit. the labels are grouped by class")
def test_arrays_keep_the_last_fraction(root):
    folder = data.from_folder(root, SIZE)
    model = Watching()
    Trainer.fit(model, folder.x, folder.labels, validation_split=0.25, verbose=0)
    assert model.tested == folder.x[27:, 0, 0, 0].tolist()


def test_a_class_that_is_all_on_one_side_is_told(root):
    folder = data.from_folder(root, SIZE)
    few = np.array([0] + [1] * 18 + [2] * 17, np.int32)
    with pytest.warns(UserWarning, match="fit: validation_split: No image of '0' to validate on"):
        held_out(Sorted(folder, few), 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held_out(Sorted(folder), 0.2)


def test_classes_of_one_image_are_refused(root):
    model, folder = Watching(), data.from_folder(root, SIZE)
    with pytest.raises(ValueError, match="validation_split must leave images on both sides"):
        Trainer.fit(model, folder.part(np.array([0, 12])), validation_split=0.1, verbose=0)
    assert model.state.step == 0


def test_the_command_line_holds_out_the_same(root):
    folder = data.from_folder(root, SIZE)
    images = ImageSet("set", ImageSubset(folder.x, folder.labels), None, list("abc")).held_out(
        0.25, 3
    )
    found = sorted(images.validation.x[:, 0, 0, 0].tolist())
    assert found == held_out(Sorted(folder), seed=3)
    assert len(images.train) + len(images.validation) == 3 * COUNT
