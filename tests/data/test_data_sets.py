"""Data sets by name: the bundled sample, the places searched, the download and its refusals."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from dataclasses import replace

import numpy as np
import pytest
from test_data_readers import idx_bytes

from fastcnn import data
from fastcnn.data import datasets
from fastcnn.data.datasets import catalog, download, paths

NOBODY = "http://127.0.0.1:9/"

CONTENT = {
    "train-images-idx3-ubyte": idx_bytes(np.arange(3 * 784).astype(np.uint8).reshape(3, 28, 28)),
    "train-labels-idx1-ubyte": idx_bytes(np.array([0, 9, 4], np.uint8)),
    "t10k-images-idx3-ubyte": idx_bytes(np.full((2, 28, 28), 7, np.uint8)),
    "t10k-labels-idx1-ubyte": idx_bytes(np.array([1, 2], np.uint8)),
}


def cifar_content():
    """Two records a file; the first byte of a record is its label."""
    records = np.arange(6 * 2 * 3073).astype(np.uint8).reshape(6, 2, 3073)
    records[:, :, 0] = np.arange(12).reshape(6, 2) % 10
    names = [file.name for file in catalog.CIFAR10.files]
    return {name: part.tobytes() for name, part in zip(names, records, strict=True)}


def published(content):
    return tuple(
        catalog.PublishedFile(name, len(value), hashlib.sha256(value).hexdigest())
        for name, value in content.items()
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Nothing of this computer is searched: its data directories are empty ones."""
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(paths, "user_directory", lambda: tmp_path / "user")
    table = {
        name: replace(entry, sources=(), places=()) for name, entry in catalog.KNOWN_SETS.items()
    }
    monkeypatch.setattr(datasets, "KNOWN_SETS", table)
    return tmp_path


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of the folder it returns, with its address."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("NO_PROXY", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{http_server.server_port}/"
        http_server.shutdown()
        thread.join()


def write(folder, content, pack=bytes, ending=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in content.items():
        (folder / (name + ending)).write_bytes(pack(value))


def test_the_sample_is_balanced_and_small():
    (x_train, y_train), (x_test, y_test) = data.sample()
    assert x_train.shape == (6000, 28, 28, 1)
    assert x_test.shape == (1000, 28, 28, 1)
    assert x_train.dtype == x_test.dtype == np.uint8
    assert y_train.dtype == y_test.dtype == np.int32
    assert np.bincount(y_train).tolist() == [600] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert datasets.SAMPLE_FILE.stat().st_size <= 3_500_000
    # Mixed, as published, and with images that are not one another's copies.
    assert len(np.unique(y_train[:50])) == 10
    assert len(np.unique(np.concatenate([x_train, x_test]).reshape(7000, -1), axis=0)) > 6990
    # The mean brightness that is known of Fashion-MNIST, 0.286.
    assert abs(x_train.mean() / 255 - 0.286) < 0.005


def test_the_licence_of_the_sample_lies_beside_it():
    text = (datasets.SAMPLE_FILE.parent / "LICENSE-fashion-mnist.txt").read_text(encoding="utf-8")
    assert "MIT License" in text
    assert "2017 Zalando SE" in text


def test_sample_by_name():
    np.testing.assert_array_equal(data.load("sample")[1][1], data.sample()[1][1])
    assert data.class_names("sample") == data.class_names("fashion-mnist")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("fashion-mnist", "T-shirt/top", "Ankle boot"),
        ("mnist", "0", "9"),
        ("cifar10", "airplane", "truck"),
    ],
)
def test_class_names(name, first, last):
    names = data.class_names(name)
    assert (len(names), names[0], names[-1]) == (10, first, last)


@pytest.mark.parametrize("call", [data.load, data.class_names])
def test_an_unknown_name_is_refused_with_the_nearest(call):
    with pytest.raises(ValueError, match=r"data set 'cifar-1'\. Did you mean 'cifar10'"):
        call("cifar-1")


@pytest.mark.parametrize("where", ["data", "user", "system"])
@pytest.mark.parametrize(("pack", "ending"), [(bytes, ""), (gzip.compress, ".gz")])
def test_found_in_each_place_gzipped_or_not(home, monkeypatch, where, pack, ending):
    table = {"mnist": replace(catalog.MNIST, sources=(), places=(str(home / "system" / "mnist"),))}
    monkeypatch.setattr(datasets, "KNOWN_SETS", table)
    write(home / where / "mnist", CONTENT, pack, ending)
    (x_train, y_train), (x_test, y_test) = data.load("mnist")
    np.testing.assert_array_equal(x_train.ravel(), np.arange(3 * 784).astype(np.uint8))
    assert x_train.shape == (3, 28, 28, 1)
    assert x_test.shape == (2, 28, 28, 1)
    assert y_train.tolist() == [0, 9, 4]
    assert y_test.tolist() == [1, 2]
    assert y_train.dtype == y_test.dtype == np.int32


def test_an_incomplete_folder_is_passed_over(home):
    write(home / "data" / "mnist", {"train-images-idx3-ubyte": b"not looked at"})
    write(home / "user" / "mnist", CONTENT)
    assert data.load("mnist")[0][1].tolist() == [0, 9, 4]


def test_cifar_from_its_folder(home):
    write(home / "data" / "cifar-10-batches-bin", cifar_content())
    (x_train, y_train), (x_test, y_test) = data.load("cifar10")
    assert x_train.shape == (10, 32, 32, 3)
    assert x_test.shape == (2, 32, 32, 3)
    assert y_train.tolist() == list(range(10))
    assert y_test.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, 1], "3 images need as many labels. Found 2"), ([0, 1, 10], "from 0 to 9. Found 10")],
)
def test_labels_that_do_not_fit_are_refused(home, labels, words):
    changed = idx_bytes(np.array(labels, np.uint8))
    write(home / "data" / "mnist", {**CONTENT, "train-labels-idx1-ubyte": changed})
    with pytest.raises(ValueError, match=words) as error:
        data.load("mnist")
    assert "train-labels-idx1-ubyte" in str(error.value)


def test_offline_says_where_files_may_be_put(home, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setitem(
        datasets.KNOWN_SETS, "mnist", replace(catalog.MNIST, sources=(NOBODY, NOBODY))
    )
    with pytest.raises(FileNotFoundError) as error:
        data.load("mnist")
    message = str(error.value)
    for part in (str(home / "data" / "mnist"), str(home / "user" / "mnist"), *CONTENT):
        assert part in message
    assert "FASTCNN_DATA" in message
    assert f"{NOBODY}train-images-idx3-ubyte.gz cannot be reached." in message


def test_a_user_without_a_home_is_told_what_to_set(home, monkeypatch):
    monkeypatch.delenv("FASTCNN_DATA")
    monkeypatch.setattr(paths, "user_directory", lambda: None)
    with pytest.raises(FileNotFoundError, match="no home to download it to"):
        data.load("mnist")


def test_a_missing_home_is_seen(monkeypatch):
    import platformdirs

    def fail(*_, **__):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_data_path", fail)
    assert paths.user_directory() is None


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_download_of_gzipped_files(home, server, monkeypatch, capsys, pack):
    """From the first source that answers; a server may unpack them on the way."""
    folder, address = server
    write(folder, CONTENT, pack, ".gz")
    mnist = replace(catalog.MNIST, files=published(CONTENT), sources=(NOBODY, address))
    monkeypatch.setitem(datasets.KNOWN_SETS, "mnist", mnist)
    assert data.load("mnist")[0][1].tolist() == [0, 9, 4]
    assert address in capsys.readouterr().err
    assert sorted(path.name for path in (home / "data" / "mnist").iterdir()) == sorted(CONTENT)
    monkeypatch.setattr(download, "download", lambda *arguments: pytest.fail("downloaded again"))
    data.load("mnist")


def archive(content):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, value in {"cifar-10-batches-bin/readme.html": b"", **content}.items():
            member = tarfile.TarInfo(name)
            member.size = len(value)
            tar.addfile(member, io.BytesIO(value))
    return packed.getvalue()


def cifar_from(address, monkeypatch):
    source = f"{address}cifar-10-binary.tar.gz"
    cifar = replace(catalog.CIFAR10, files=published(cifar_content()), sources=(source,))
    monkeypatch.setitem(datasets.KNOWN_SETS, "cifar10", cifar)


def test_download_of_an_archive_takes_the_files_by_name(home, server, monkeypatch):
    folder, address = server
    content = cifar_content()
    inside = {f"../../outside/{name}": value for name, value in content.items()}
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive(inside))
    cifar_from(address, monkeypatch)
    assert data.load("cifar10")[0][1].tolist() == list(range(10))
    files = [path.name for path in home.rglob("*") if path.is_file()]
    assert sorted(files) == sorted([*content, "cifar-10-binary.tar.gz"])


BAD_ARCHIVES = {
    "another content": (lambda c: archive({**c, "test_batch.bin": b"x"}), "must have the SHA-256"),
    "a file missing": (lambda c: archive(dict(list(c.items())[:5])), "holds no test_batch.bin"),
    "cut": (lambda c: archive(c)[:-200], "sent no tar archive"),
    "a page": (lambda c: b"<html>moved</html>", "sent no tar archive"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused(home, server, monkeypatch, case):
    folder, address = server
    make, words = BAD_ARCHIVES[case]
    (folder / "cifar-10-binary.tar.gz").write_bytes(make(cifar_content()))
    cifar_from(address, monkeypatch)
    with pytest.raises(FileNotFoundError, match=words):
        data.load("cifar10")
    assert not (home / "data" / "cifar-10-batches-bin" / "test_batch.bin").exists()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (gzip.compress(b"other"), "must have the SHA-256"),
        (b"<html>", "must have the SHA-256"),
        (gzip.compress(b"cut")[:-6], "sent a damaged file"),
    ],
)
def test_a_bad_file_is_refused(home, server, monkeypatch, sent, words):
    folder, address = server
    write(folder, CONTENT, gzip.compress, ".gz")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(sent)
    mnist = replace(catalog.MNIST, files=published(CONTENT), sources=(address,))
    monkeypatch.setitem(datasets.KNOWN_SETS, "mnist", mnist)
    with pytest.raises(FileNotFoundError, match=words):
        data.load("mnist")
    assert not (home / "data" / "mnist" / "train-labels-idx1-ubyte").exists()
