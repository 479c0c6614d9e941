"""A file whose name is of another format is refused, with who writes or reads that one."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fastcnn
from fastcnn.callbacks import ModelCheckpoint
from fastcnn.hdf5.errors import FormatError
from fastcnn.layers import Dense, Flatten
from fastcnn.saving import endings

WRITTEN = {
    "a.keras": r"model\.to_keras\(path\) writes one",
    "A.KERAS": r"model\.to_keras\(path\) writes one",
    "a.onnx": r"model\.to_onnx\(path\) writes one",
    "a.pth": "a file of PyTorch",
    "a.npz": "of another format",
    "a.caffemodel": "a file of Caffe",
}


@pytest.fixture
def model():
    return fastcnn.Sequential([Flatten(), Dense(1)], (2, 2, 1))


@pytest.mark.parametrize(("name", "words"), WRITTEN.items())
@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_a_name_of_another_format_is_not_written(name, words, method, model, tmp_path):
    with pytest.raises(ValueError, match=f"{method} writes HDF5.*{words}.* end in '.h5'"):
        getattr(model, method)(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("weights_alone", [False, True])
def test_a_checkpoint_is_refused_before_the_first_epoch(weights_alone, model, tmp_path):
    model.compile("sgd", "mse")
    x, y = np.ones((2, 2, 2, 1), "f4"), np.ones((2, 1), "f4")
    checkpoint = ModelCheckpoint(tmp_path / "a.keras", save_weights_only=weights_alone)
    with pytest.raises(ValueError, match="to_keras"):
        model.fit(x, y, callbacks=[checkpoint], verbose=0)
    assert model.epoch == 0


@pytest.mark.parametrize("ending", [ending for group in endings.READERS for ending in group])
def test_weights_of_another_framework_name_their_reader(ending, model, tmp_path):
    (tmp_path / f"a{ending}").write_bytes(b"anything")
    for read in (fastcnn.load, model.load_weights):
        with pytest.raises(FormatError, match=r"another layout: fastcnn\.\w+\(.*\) reads it"):
            read(tmp_path / f"a{ending}")
    names = {re.split(r"[.(]", reader)[1] for reader in endings.READERS.values()}
    assert all(hasattr(fastcnn, name) for name in names)
