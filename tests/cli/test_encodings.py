"""Names of classes and files in any encoding, under a locale that knows none of their letters."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import fastcnn
from fastcnn.data.folder.splitting import split_source
from fastcnn.data.pipeline.items import class_names
from fastcnn.utils.naming import printable

NAMES = ("Größe", "猫", "cafe")
SHOWN = (r"Gr\xf6\xdfe", r"\u732b", "cafe")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of classes, of which one more has a name that is no text."""
    root = tmp_path_factory.mktemp("bücher")
    for k, name in enumerate((*NAMES, b"bad\xff")):
        folder = os.path.join(os.fsencode(root), os.fsencode(name))
        os.mkdir(folder)
        for i in range(4):
            path = os.path.join(folder, b"\xfe" * (name == b"bad\xff") + f"été{i}.png".encode())
            with open(path, "wb") as file:
                Image.new("RGB", (8, 8), (60 * k, i, 0)).save(file, format="PNG")
    return root


COMMANDS = """
import sys
from fastcnn.cli import main
root, out = sys.argv[1:]
model = out + "/m\\udcc3\\udcb6del"
data = ["--data", root]
for command in (
    ["data", "check", root],
    ["train", *data, "--model", "lenet5", "--size", "28", "--epochs", "1", "--out", model,
     "--validation-split", "0.25"],
    ["evaluate", *data, "--model", model + "/model.h5"],
    ["predict", root, "--model", model + "/model.h5"],
    ["predict", root, "--model", model + "/model.h5", "--json"],
    ["data", "pack", root, out + "/set.h5", "--size", "28"],
    ["data", "check", out + "/set.h5"],
):
    code = main(command)
    if code:
        sys.exit(f"{command} ended with {code}")
print(main(["predict", root + "/\\udcc3\\udcbc.png", "--model", model + "/model.h5"]))
"""


def run(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=500,
    )


def test_the_command_line_says_names_under_the_c_locale(root, tmp_path):
    done = run(COMMANDS, root, tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    told = done.stderr.decode("ascii")
    assert not done.returncode, told
    said = done.stdout.decode("ascii")
    for name in (*SHOWN, r"bad\xff"):
        assert said.count(name) >= 3
    assert r"There is no file '" in told and r"/\xfc.png'" in told
    (line,) = [line for line in said.splitlines() if line.startswith("[{")]
    images = [entry["image"] for entry in json.loads(line)]
    assert f"{root}/Größe/été1.png" in images and f"{root}/bad\\xff/\\xfeété0.png" in images
    model = fastcnn.load(tmp_path / "mödel" / "model.h5")
    assert model.class_names == sorted([*NAMES, "bad\\xff"])


def test_the_same_images_are_held_out_in_every_locale(root, tmp_path):
    code = """
import json, sys
from fastcnn import data
source = data.from_folder(sys.argv[1], (8, 8), validation_split=0.25)[1]
packed = data.from_packed(sys.argv[2], validation_split=0.25)[1]
print(json.dumps([sorted(part.x[:, 0, 0, :2].tolist()) for part in (source,)]))
print(packed.files == source.files)
"""
    whole = fastcnn.data.from_folder(root, (8, 8))
    fastcnn.data.pack(whole, tmp_path / "set.h5")
    _, held = split_source(whole, whole.labels, 0.25, 0)
    for locale, mode in (("C", "0"), ("C.UTF-8", "1")):
        done = run(code, root, tmp_path / "set.h5", LC_ALL=locale, PYTHONUTF8=mode)
        assert not done.returncode, done.stderr
        found, same = done.stdout.decode().splitlines()
        assert json.loads(found) == [sorted(whole.x[held][:, 0, 0, :2].tolist())]
        assert same == "True"


def test_texts_without_surrogates():
    assert printable("Größe 猫") == "Größe 猫"
    assert printable("Gr\udcc3\udcb6\udcc3\udc9fe") == "Größe"
    assert printable("caf\udce9") == "caf\\xe9"
    assert printable("half \ud83d") == "half \\ud83d"


def test_names_of_other_libraries_can_be_stored(tmp_path):
    class Source:
        classes = ("caf\udce9", "猫")

    names = class_names(Source())
    assert names == ["caf\\xe9", "猫"]
    model = fastcnn.Sequential([fastcnn.layers.Dense(2)], (3,))
    model.class_names = names
    model.save(tmp_path / "model.h5")
    loaded = fastcnn.load(tmp_path / "model.h5")
    assert loaded.class_names == names and np.isfinite(loaded.predict(np.ones((1, 3)))).all()


def test_a_path_that_the_system_cannot_encode_is_told(tmp_path):
    code = """
import fastcnn
try:
    fastcnn.callbacks.CSVLogger("\\u00e9.csv")
except ValueError as error:
    print(error)
"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "filename must be a name that this system's encoding" in done.stdout
    assert done.stderr == ""
