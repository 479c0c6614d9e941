"""Local files in published layouts: read by content, with labels, in Python and by --data."""

from __future__ import annotations

import gzip

import numpy as np
import photos
import pytest
from test_data_readers import idx_bytes

from fastcnn import cli, data
from fastcnn.data.datasets.cifar import PIXELS
from fastcnn.data.datasets.local_file import read_labelled
from fastcnn.data.datasets.local_folder import read_folder

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 5, 4), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def cifar(*labels):
    """A binary whose records begin with these labels."""
    rows = np.stack(labels, axis=1).astype(np.uint8)
    return np.hstack([rows, RNG.integers(0, 256, (len(rows), PIXELS), np.uint8)]).tobytes()


def write_idx(folder, pack, ending=""):
    photos.write(folder / f"my-labels-idx1-ubyte{ending}", pack(idx_bytes(LABELS)))
    return photos.write(folder / f"my-images-idx3-ubyte{ending}", pack(idx_bytes(IMAGES)))


@pytest.mark.parametrize(("pack", "ending"), [(bytes, ""), (gzip.compress, ".gz")])
def test_idx_with_its_labels_beside_it(tmp_path, pack, ending):
    found = read_labelled(write_idx(tmp_path, pack, ending))
    np.testing.assert_array_equal(found.x[..., 0], IMAGES)
    np.testing.assert_array_equal(found.y, LABELS)
    assert found.y.dtype == np.int32 and found.class_names is None


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_cifar_by_the_length_of_its_records(tmp_path, pack):
    path = photos.write(tmp_path / "anything", pack(cifar(LABELS)))
    found = read_labelled(path)
    np.testing.assert_array_equal(found.x, data.read_cifar10(path)[0])
    assert found.y.tolist() == LABELS.tolist() and found.class_names[2] == "bird"
    path = photos.write(tmp_path / "anything", pack(cifar(LABELS, LABELS + 90)))
    found = read_labelled(path)
    np.testing.assert_array_equal(found.x, data.read_cifar100(path)[0])
    assert found.y.tolist() == (LABELS + 90).tolist() and found.class_names[92] == "tulip"


def write_mnist(folder, images=IMAGES):
    for part, ending, pack in (("train", "", bytes), ("t10k", ".gz", gzip.compress)):
        photos.write(folder / f"{part}-images-idx3-ubyte{ending}", pack(idx_bytes(images)))
        photos.write(folder / f"{part}-labels-idx1-ubyte{ending}", pack(idx_bytes(LABELS)))


def test_a_folder_of_mnists_files(tmp_path):
    write_mnist(tmp_path)
    for part in read_folder(tmp_path):
        np.testing.assert_array_equal(part.x[..., 0], IMAGES)
        np.testing.assert_array_equal(part.y, LABELS)


def test_a_folder_of_cifars_batches(tmp_path):
    for number in (2, 1):
        photos.write(tmp_path / f"data_batch_{number}.bin", cifar(LABELS + number))
    photos.write(tmp_path / "data_batch_1.bin.gz", b"also here, and not read twice")
    train, test = read_folder(tmp_path)
    assert test is None and train.y.tolist() == [*(LABELS + 1), *(LABELS + 2)]
    images = [data.read_cifar10(tmp_path / f"data_batch_{number}.bin")[0] for number in (1, 2)]
    np.testing.assert_array_equal(train.x, np.concatenate(images))
    assert train.class_names[2] == "bird"


def test_a_folder_of_two_sets_is_refused(tmp_path, capsys):
    write_mnist(tmp_path)
    photos.write(tmp_path / "test.bin", cifar(LABELS, LABELS))
    assert cli.main(["data", "stats", str(tmp_path)]) == 2
    assert "expected the files of one data set" in capsys.readouterr().err


REFUSED = {
    "text": (b"x,y\n1,2\n", r"expected an IDX file of bytes, or a CIFAR.*begins with 78 2c 79"),
    "empty": (b"", "begins with nothing"),
    "labels alone": (idx_bytes(LABELS), "expected the file of its labels beside it"),
    "wrong labels": (cifar(LABELS + 9), "from 0 to 9. Received 11"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_in_words(tmp_path, capsys, case):
    content, words = REFUSED[case]
    path = photos.write(tmp_path / "some-idx1-ubyte", content)
    with pytest.raises(ValueError, match=words):
        read_labelled(path)
    assert cli.main(["data", "stats", str(path)]) == 2
    assert "is neither a folder, nor an .h5 or .npz file, and cannot" in capsys.readouterr().err


def test_labels_must_be_as_many(tmp_path):
    path = write_idx(tmp_path, bytes)
    photos.write(tmp_path / "my-labels-idx1-ubyte", idx_bytes(LABELS[:5]))
    with pytest.raises(ValueError, match=r"6 images need as many labels\. Received 5"):
        read_labelled(path)


# Six images of noise are no training set.
@pytest.mark.filterwarnings("ignore::fastcnn.TrainingWarning")
def test_the_command_line_takes_them(tmp_path, capsys):
    path = write_idx(tmp_path, gzip.compress, ".gz")
    assert cli.main(["data", "stats", str(path), "--json"]) == 0
    assert '"images": 6' in capsys.readouterr().out
    out = tmp_path / "run"
    digits = np.repeat(np.repeat(IMAGES, 6, axis=1), 7, axis=2)
    photos.write(path, gzip.compress(idx_bytes(digits)))
    write_mnist(tmp_path / "mnist", digits)
    for source in (path, tmp_path / "mnist"):
        given = f"train --model lenet5 --epochs 1 --validation-split 0.34 --data {source}"
        assert cli.main([*given.split(), "--overwrite", "--out", str(out)]) == 0
    assert cli.main(["evaluate", "--model", str(out / "model.h5"), "--data", str(source)]) == 0
