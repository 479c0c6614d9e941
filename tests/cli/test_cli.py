"""The command line: what each command leaves, prints and refuses."""

from __future__ import annotations

import csv
import errno
import json
import shlex
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastcnn
from fastcnn.cli import COMMANDS, main
from fastcnn.cli.commands import predict, train
from fastcnn.cli.parser import make_parser
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve import run_folder, system_info, training
from fastcnn.training import picture_input

CLASSES = ("left", "middle", "right")
FILES = {
    *("settings.toml", "model.h5", "last.h5", "history.csv"),
    *("curves.png", "confusion.png", "mistakes.png", "report.html"),
}
MODEL = """
import fastcnn
from fastcnn.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

def model():
    layers = [Rescaling(1 / 255), Conv2D(4, 3, activation="relu"), Flatten(), Dense(3)]
    return fastcnn.Sequential(layers, input_shape=(8, 9, 1), seed=2)
"""


CONVOLVED = 'Conv2D(4, 3, activation="relu"), '


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images of a bright bar in one of three places."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    images = generator.integers(0, 60, (count, 8, 9))
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * label : 3 * label + 3] += 150
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with bars.npz, net.py, and in `run` a finished training of one on the other."""
    folder = tmp_path_factory.mktemp("cli")
    (x_train, y_train), (x_test, y_test) = bars(120, 0), bars(30, 1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(folder / "bars.npz", class_names=np.array(CLASSES), **arrays)
    np.savez(folder / "unnamed.npz", **arrays)
    np.savez(folder / "half.npz", x_train=x_train)
    np.savez(folder / "flat.npz", **arrays | {"x_test": x_test.reshape(30, -1)})
    np.savez(folder / "words.npz", **arrays | {"y_test": y_test.astype(str)})
    (folder / "net.py").write_text(MODEL)
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "leaving.py").write_text("raise SystemExit(3)\n")
    (folder / "four.py").write_text(MODEL.replace("Dense(3)", "Dense(4)"))
    (folder / "flat.py").write_text(MODEL.replace("(8, 9, 1)", "(72,)").replace(CONVOLVED, ""))
    (folder / "map.py").write_text(MODEL.replace(", Flatten(), Dense(3)", ""))
    (folder / "empty.py").write_text("")
    (folder / "text.txt").write_text("no picture")
    Image.fromarray(x_test[0]).save(folder / "bar.png")
    Image.fromarray(x_test[1]).resize((40, 30)).convert("RGB").save(folder / "large.jpg")
    assert main(train_arguments(folder, folder / "run", epochs=4)) == 0
    return folder


def train_arguments(folder: Path, out: Path, epochs: int) -> list[str]:
    arguments = f"train --model @/net.py --data @/bars.npz --lr 0.01 --out {out} --epochs {epochs}"
    return filled(arguments, folder)


def filled(arguments: str, folder: Path) -> list[str]:
    """The words of a command line, @ standing for the folder."""
    return [word.replace("@", str(folder)) for word in arguments.split()]


def test_train_leaves_its_files(place):
    run = place / "run"
    assert {path.name for path in run.iterdir()} == FILES
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    for name in ("curves.png", "confusion.png", "mistakes.png"):
        with Image.open(run / name) as picture:
            assert min(picture.size) > 200
    assert fastcnn.load(run / "last.h5").epoch == 4


def test_the_saved_model_is_the_best_epochs(place):
    with (place / "run" / "history.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    best = fastcnn.load(place / "run" / "model.h5")
    assert best.epoch == losses.index(min(losses)) + 1
    assert best.class_names == list(CLASSES)


def test_train_reports_what_evaluate_finds(place, tmp_path, capsys):
    assert main([*train_arguments(place, tmp_path / "run", 5), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["epochs"] == 5
    assert trained["images_per_second"] > 0
    assert set(trained["files"]) == FILES
    saved = str(tmp_path / "run" / "model.h5")
    assert main(["evaluate", "--model", saved, "--data", str(place / "bars.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == trained["test_accuracy"] > 0.9
    assert found["loss"] == pytest.approx(trained["test_loss"])
    assert [one["name"] for one in found["classes"]] == list(CLASSES)
    assert np.trace(found["confusion_matrix"]) == round(found["accuracy"] * found["images"])


def test_train_says_what_came_of_it(place, tmp_path, capsys):
    assert main(train_arguments(place, tmp_path / "run", 1)) == 0
    said = capsys.readouterr().out
    assert "Test accuracy" in said
    assert "images/s" in said
    assert "model.h5" in said


def test_train_says_how_keras_gets_its_model(place, tmp_path, capsys, monkeypatch):
    """The command that it tells is one: it is given to the command line as it stands."""
    monkeypatch.chdir(tmp_path)
    assert main(train_arguments(place, tmp_path / "run", 1)) == 0
    told = capsys.readouterr().out.splitlines()[-1]
    _, program, *arguments = shlex.split(told.partition(" for keras")[0].replace("For ", ""))
    assert program == "fastcnn" and main(arguments) == 0
    assert (tmp_path / "model.keras").stat().st_size > 0


def test_resuming_gives_the_same_bits(place, tmp_path):
    out = tmp_path / "run"
    assert main(train_arguments(place, out, 2)) == 0
    assert main(["train", "--out", str(out), "--resume", "--epochs", "4"]) == 0
    whole, resumed = (fastcnn.load(path / "last.h5") for path in (place / "run", out))
    for expected, found in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (out / "history.csv").read_text() == (place / "run" / "history.csv").read_text()


def test_resuming_without_a_better_epoch_measures_the_earlier_one(place, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(train_arguments(place, out, 2)) == 0
    history = out / "history.csv"
    header, *rows = history.read_text().splitlines()
    column = header.split(",").index("val_loss")
    cells = rows[0].split(",")
    cells[column] = "0.0"
    history.write_text("\n".join([header, ",".join(cells), *rows[1:]]) + "\n")
    before = fastcnn.load(out / "model.h5").get_weights()
    capsys.readouterr()
    assert main(["train", "--out", str(out), "--resume", "--epochs", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 3
    for kept, new in zip(before, fastcnn.load(out / "model.h5").get_weights(), strict=True):
        np.testing.assert_array_equal(new, kept)


def test_short_epochs_and_rare_validations(place, tmp_path, capsys):
    out, options = tmp_path / "run", ["--steps-per-epoch", "2", "--validation-freq", "2"]
    assert main([*train_arguments(place, out, 3), *options]) == 0
    with (out / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["val_loss"] == "nan" for row in rows] == [True, False, True]
    assert fastcnn.load(out / "model.h5").epoch == 2  # the one that was validated
    last = fastcnn.load(out / "last.h5")
    assert last.optimizer is not None and last.state.step == 6
    resume = ["train", "--out", str(out), "--resume", "--epochs", "4"]
    assert main(resume) == 0
    assert fastcnn.load(out / "last.h5").state.step == 8
    assert main([*resume[:-1], "5", "--steps-per-epoch", "3"]) == 2
    assert "--steps-per-epoch 3 differs from the training's own, 2" in capsys.readouterr().err
    assert main([*train_arguments(place, tmp_path / "never", 1), "--validation-freq", "5"]) == 0
    assert (tmp_path / "never" / "model.h5").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_training_has_a_folder_of_its_own(place, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert main(train_arguments(place, out, 1)) == 0
    first = contents(out)
    assert first.keys() == FILES | {"mine.txt"}
    (tmp_path / "run-2").write_text("a file in the way")
    assert main([*train_arguments(place, out, 1), "--validation", "0", "--json"]) == 0
    said = capsys.readouterr()
    assert "run-3" in said.err and "--overwrite" in said.err
    assert json.loads(said.out.splitlines()[-1])["folder"] == str(tmp_path / "run-3")
    assert contents(out) == first
    assert contents(tmp_path / "run-3").keys() == FILES


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("train --model @/net.py --data @/bars.npz --epochs 1 --lr 1e30", 1),
        ("train --model @/net.py --data sample", 2),
        ("train --model @/net.py --data @/none.npz", 2),
    ],
)
def test_what_fails_leaves_nothing_and_removes_nothing(place, tmp_path, arguments, code, overwrite):
    out = tmp_path / "run"
    shutil.copytree(place / "run", out)
    before = contents(out)
    assert main([*filled(f"{arguments} --out {out}", place), *overwrite]) == code
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert contents(out) == before


def test_overwrite_replaces_when_the_new_training_is_whole(place, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    shutil.copytree(place / "run", out)
    (out / "mine.txt").write_text("kept")
    before = contents(out)
    seen = []
    evaluate = train.outcome.reported

    def watching(*arguments):
        seen.append(contents(out) == before)
        return evaluate(*arguments)

    monkeypatch.setattr(train.outcome, "reported", watching)
    options = ["--validation", "0", "--overwrite", "--json"]
    assert main([*train_arguments(place, out, 1), *options]) == 0
    assert seen == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert contents(out).keys() == before.keys()
    assert "val_loss" not in (out / "history.csv").read_text()
    assert (out / "mine.txt").read_text() == "kept"
    assert json.loads(capsys.readouterr().out)["folder"] == str(out)
    assert fastcnn.load(out / "last.h5").epoch == 1


def test_trainings_at_once_never_share_a_folder(tmp_path):
    def claim(_):
        return run_folder.claimed(str(tmp_path / "run"), False).path.name

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(claim, range(40)))
    assert sorted(names) == sorted(["run", *(f"run-{number}" for number in range(2, 41))])


def test_an_unusable_out_is_found_before_anything_is_done(place, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(training.dataset, "opened", None)  # nothing is read
    for out, words in [("file", "not a folder"), ("file/run", "Not a directory")]:
        assert main(train_arguments(place, tmp_path / out, 1)) == 2
        assert words in capsys.readouterr().err

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    assert main(train_arguments(place, tmp_path / "run", 1)) == 2
    assert "No space left" in capsys.readouterr().err
    monkeypatch.setattr(run_folder.tempfile, "TemporaryFile", full)
    resume = ["train", "--out", str(place / "run"), "--resume", "--epochs", "9"]
    assert main(resume) == 2
    assert "No space left" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_network_by_name_takes_the_datas_shape(place, tmp_path, capsys):
    out = str(tmp_path / "run")
    arguments = f"train --model resnet20 --data @/unnamed.npz --epochs 1 --out {out} --json"
    options = " --optimizer sgd --momentum 0.9 --lr 0.01 --weight-decay 1e-4 --batch-size 16"
    assert main(filled(arguments + options, place)) == 0
    model = fastcnn.load(tmp_path / "run" / "last.h5")
    assert (model.input_shape, model.output_shape) == ((8, 9, 1), (3,))
    config = model.optimizer.get_config()
    assert (config["momentum"], config["weight_decay"]) == (0.9, 1e-4)
    assert model.optimizer.learning_rate == 0.01


def test_evaluate_prints_a_table(place, capsys):
    assert main(filled("evaluate --model @/run/model.h5 --data @/bars.npz", place)) == 0
    said = capsys.readouterr().out
    assert "Accuracy" in said
    for name in CLASSES:
        assert name in said


def test_predict_names_classes(place, capsys):
    arguments = "predict --model @/run/model.h5 @/bar.png @/large.jpg --top 2"
    assert main(filled(f"{arguments} --json", place)) == 0
    found = json.loads(capsys.readouterr().out)
    images, labels = bars(30, 1)
    expected = softmax(fastcnn.load(place / "run" / "model.h5").predict(images[:1, ..., None]))[0]
    best = found[0]["classes"][0]
    assert best["name"] == CLASSES[labels[0]] == CLASSES[expected.argmax()]
    assert best["probability"] == pytest.approx(expected.max(), rel=1e-5)
    assert found[1]["classes"][0]["name"] == CLASSES[labels[1]]
    assert [len(entry["classes"]) for entry in found] == [2, 2]
    assert main(filled(arguments, place)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert f"bar.png: {best['name']} " in lines[0]


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def test_predict_takes_weights_and_scale(place, tmp_path, capsys):
    weights = tmp_path / "net.weights.h5"
    fastcnn.load(place / "run" / "model.h5").save_weights(weights)
    arguments = f"predict --model @/net.py --weights {weights} @/bar.png --json --scale"
    probabilities = []
    for scale in ("1", "0"):
        assert main([*filled(arguments, place), scale]) == 0
        report = json.loads(capsys.readouterr().out)
        probabilities.append(report[0]["classes"][0]["probability"])
    assert probabilities[0] != probabilities[1]


@pytest.mark.parametrize("ending", [".onnx", ".keras"])
def test_export_writes_a_model_that_predicts_alike(place, tmp_path, capsys, ending):
    exported = tmp_path / f"bars{ending}"
    assert main([*filled("export --model @/run/model.h5 --out", place), str(exported)]) == 0
    assert f"{exported}: {exported.stat().st_size:,} bytes" in capsys.readouterr().out
    images = bars(4, 1)[0][..., None]
    again, model = models.named(str(exported)), fastcnn.load(place / "run" / "model.h5")
    np.testing.assert_allclose(again.predict(images), model.predict(images), atol=1e-6)


def test_export_says_which_endings_there_are(place, tmp_path, capsys):
    arguments = filled("export --model @/run/model.h5 --json --out", place)
    assert main([*arguments, str(tmp_path / "bars.pb")]) == 2
    assert "--out must end in .onnx, .keras, .safetensors, .weights.h5" in capsys.readouterr().err
    weights = tmp_path / "bars.safetensors"
    assert main([*arguments, str(weights)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {"file": str(weights), "bytes": weights.stat().st_size}


BINARY = """
from __future__ import annotations
from dataclasses import dataclass
import fastcnn
from fastcnn.layers import Dense, Flatten, Rescaling

@dataclass
class Sizes:
    outputs: int = 1

layers = [Rescaling(1 / 255), Flatten(), Dense(Sizes().outputs%s)]
model = fastcnn.Sequential(layers, input_shape=(8, 9, 1))
"""


@pytest.mark.parametrize("ending", ["", ", activation='sigmoid'"])
def test_one_output_tells_two_classes_apart(tmp_path, capsys, ending):
    (x_train, y_train), (x_test, y_test) = bars(160, 0), bars(60, 1)
    arrays = {"x_train": x_train[y_train < 2], "y_train": y_train[y_train < 2]}
    arrays |= {"x_test": x_test[y_test < 2], "y_test": y_test[y_test < 2]}
    np.savez(tmp_path / "two.npz", class_names=np.array(CLASSES[:2]), **arrays)
    (tmp_path / "binary.py").write_text(BINARY % ending)
    line = "train --model @/binary.py --data @/two.npz --lr 0.05 --epochs 6 --out @/run --json"
    assert main(filled(line, tmp_path)) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["test_accuracy"] > 0.9
    assert set(trained["files"]) == FILES
    assert main(filled("evaluate --model @/run/model.h5 --data @/two.npz --json", tmp_path)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == trained["test_accuracy"]
    assert [one["name"] for one in found["classes"]] == list(CLASSES[:2])
    for label, name in enumerate(CLASSES[:2]):
        picture = arrays["x_test"][arrays["y_test"] == label][0]
        Image.fromarray(picture).save(tmp_path / "bar.png")
        assert main(filled("predict --model @/run/model.h5 @/bar.png --json", tmp_path)) == 0
        classes = json.loads(capsys.readouterr().out)[0]["classes"]
        assert classes[0]["name"] == name
        assert sum(one["probability"] for one in classes) == pytest.approx(1)


def test_predict_reads_pictures_as_they_were_meant(place, tmp_path):
    grey = bars(1, 1)[0][0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    decode = picture_input.decoder(fastcnn.load(place / "run" / "model.h5"))
    found = decode(str(tmp_path / "deep.png"))
    np.testing.assert_array_equal(found[..., 0], grey)
    turned = Image.fromarray(np.rot90(grey).copy())
    exif = turned.getexif()
    exif[0x0112] = 6  # turn it clockwise to see it upright
    turned.save(tmp_path / "turned.png", exif=exif)
    found = decode(str(tmp_path / "turned.png"))
    np.testing.assert_array_equal(found[..., 0], grey)
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(ValueError, match="8 or 16 bits a channel"):
        decode(str(tmp_path / "float.tiff"))
    with pytest.raises(ValueError, match="no image file holds"):
        picture_input.decoder(models.named(str(place / "flat.py")))


def test_predict_says_when_pixel_values_go_in_unscaled(place, tmp_path, capsys):
    (tmp_path / "raw.py").write_text(MODEL.replace("Rescaling(1 / 255), ", ""))
    weights = tmp_path / "raw.weights.h5"
    fastcnn.load(place / "run" / "model.h5").save_weights(weights)
    line = f"predict --model {tmp_path}/raw.py --weights {weights} @/bar.png"
    assert main(filled(line, place)) == 0
    assert "--scale multiplies them" in capsys.readouterr().err
    assert main(filled(f"{line} --scale 0.004", place)) == 0
    assert "Note" not in capsys.readouterr().err


def test_train_says_once_that_pixel_values_go_in_unscaled(place, tmp_path, capsys):
    (tmp_path / "raw.py").write_text(MODEL.replace("Rescaling(1 / 255), ", ""))
    arguments = f"train --model {tmp_path}/raw.py --data @/bars.npz --lr 0.0001 --epochs 1"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(filled(f"{arguments} --out {tmp_path}/run", place)) == 0
    told = capsys.readouterr().err
    assert told.count("Rescaling(1 / 255)") == 1
    (note,) = [line for line in told.splitlines() if "Rescaling" in line]
    assert note.startswith("Note: the model expects values near 1")
    assert "Warning" not in told and ".py:" not in told and "warn(" not in told


def test_summary_counts(capsys):
    assert main(["summary", "--model", "vgg16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == sum(one["parameters"] for one in found["layers"]) == 138_357_544
    assert found["multiply_adds"] == 15_470_264_320
    for arguments in (["--model", "lenet5"], ["lenet5"]):
        assert main(["summary", *arguments]) == 0
        assert "61,706" in capsys.readouterr().out


def test_summary_says_how_far_layers_see(capsys):
    assert main(["summary", "lenet5", "--receptive-field"]) == 0
    assert "14 x 14" in capsys.readouterr().out
    assert main(["summary", "lenet5", "--receptive-field", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert (layers[2]["receptive_field"], layers[2]["stride"]) == ([14, 14], [2, 2])
    assert 1 <= layers[2]["effective_field"] <= 14
    assert (layers[-1]["receptive_field"], layers[-1]["stride"]) == (None, None)


def test_summary_says_first_where_receptive_fields_take_long(capsys, monkeypatch):
    monkeypatch.setattr(fastcnn.Sequential, "summary", lambda model, receptive_field: None)
    assert main(["summary", "lenet5", "--receptive-field"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["summary", "resnet18", "--receptive-field"]) == 0
    assert "a minute and more for a network of this size" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["lenet5", "--model", "lenet5"]])
def test_summary_takes_one_model(arguments, capsys):
    assert main(["summary", *arguments]) == 2
    assert "Give one MODEL" in capsys.readouterr().err


def test_summary_names_the_nearest_network(capsys):
    assert main(["summary", "resnet5"]) == 2
    assert "Did you mean 'resnet5" in capsys.readouterr().err


def test_info_describes_the_machine(capsys):
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["processor"]
    assert found["vector_bits"] in (128, 256, 512)
    assert found["versions"]["fastcnn"] == fastcnn.__version__
    assert not found["cuda"]["available"]
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert found["processor"] in said
    assert "kernel cache" in said


def test_caches_are_read_where_the_system_tells_them(tmp_path, monkeypatch):
    levels = {"index0": "Data 1 48K", "index1": "Instruction 1 32K", "index2": "Unified 2 1M"}
    for folder, row in levels.items():
        (tmp_path / folder).mkdir()
        for name, text in zip(("type", "level", "size"), row.split(), strict=True):
            (tmp_path / folder / name).write_text(f"{text}\n")
    (tmp_path / "index3").mkdir()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system_info, "SYSTEM_CPU", tmp_path)
    assert system_info.caches() == {"L1": 48 << 10, "L2": 1 << 20}
    monkeypatch.setattr(system_info, "SYSTEM_CPU", tmp_path / "none")
    assert system_info.caches() == {}


def test_warmup_fills_the_cache(capsys):
    assert main(["warmup", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kernels"] > 10
    assert found["bytes"] > 0
    assert main(["warmup"]) == 0
    assert found["directory"] in capsys.readouterr().out


def test_python_m_is_the_same(place):
    command = [sys.executable, "-m", "fastcnn", *filled("summary --model @/net.py --json", place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["input_shape"] == [8, 9, 1]


def test_a_reader_that_leaves_is_no_error_message(place):
    command = [sys.executable, "-m", "fastcnn", *filled("summary --model @/net.py", place)]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipe) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 1


# What is asked, the exit code, what the one line on stderr says.
REFUSED = [
    ("train --model lenet", 2, "Did you mean 'lenet5'"),
    ("train --model net.txt", 2, "a .py file or a saved model"),
    ("train --model @/none.py", 2, "no file"),
    ("train --model @/broken.py", 2, "ZeroDivisionError: division by zero"),
    ("train --model @/empty.py", 2, "must define `model`"),
    ("train --model @/none.h5", 2, "no file"),
    ("train --model @/net.py --data sampel", 2, "Did you mean 'sample'"),
    ("train --model @/net.py --data @/none.npz", 2, "no file"),
    ("train --model @/net.py --data @/half.npz", 2, "must hold y_train"),
    ("train --model @/net.py --data @/flat.npz", 2, "of shape (30, 72)"),
    ("train --model @/net.py --data @/words.npz", 2, "whole-number labels"),
    ("train --model @/net.py --data sample", 2, "(n, 8, 9, 1)"),
    ("train --model @/flat.py --data @/bars.npz", 2, "takes images of shape (n, 72)"),
    ("train --model @/four.py --data @/bars.npz", 2, "4 classes apart. The data"),
    ("train --model @/map.py --data @/bars.npz", 2, "one score a class"),
    ("train --model @/leaving.py", 2, "SystemExit: 3"),
    ("train --data @/bars.npz --optimizer adm", 2, "Did you mean 'adam'"),
    ("train --data @/bars.npz --momentum 0.9", 2, "'adam' has no momentum"),
    ("train --data @/bars.npz --optimizer sgd --momentum 2", 2, "momentum"),
    ("train --data @/bars.npz --threads 4096", 2, "threads"),
    ("train --resume --out @/nowhere", 2, "no training"),
    ("train --resume --out @/run --epochs 4", 2, "has 4 epochs"),
    ("train --resume --out @/run --epochs 9 --batch-size 8", 2, "training's own, 32"),
    ("evaluate --model lenet5", 2, "no trained weights"),
    ("evaluate --model @/run/model.h5 --weights @/none.h5", 2, "no file"),
    ("evaluate --model @/run/model.h5 --weights @/bar.png", 2, "bar.png"),
    ("evaluate --model @/text.txt", 2, "a .py file or a saved model"),
    ("evaluate --model @/run/model.h5 --data sample", 2, "(n, 8, 9, 1)"),
    ("predict --model @/flat.py --weights @/run/model.h5 @/bar.png", 2, "does not fit the model"),
    ("predict --model @/run/model.h5 @/none.png", 2, "no file"),
    ("predict --model @/run/model.h5 @/text.txt", 2, "cannot be read as an image"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_are_one_line(place, tmp_path, capsys, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    assert main(filled(arguments, place)) == code
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()[-1:]
    assert line.startswith(f"fastcnn {arguments.split()[0]}: ")
    assert words in line
    assert "Traceback" not in said.err


MISUSED = [
    ("train --epochs 0", "at least 1, not '0'"),
    ("train --epochs many", "not 'many'"),
    ("train --lr -1", "above 0"),
    ("train --seed -1", "at least 0, not '-1'"),
    ("train --weight-decay nan", "not 'nan'"),
    ("predict --model m.h5 --scale x a.png", "not 'x'"),
    ("train --validation 1", "below 1"),
    ("train --data", "expected one argument"),
    ("train --colour red", "--colour"),
    ("predict --model m.h5", "IMAGE"),
    ("evaluate", "--model"),
    ("fly", "there is no command fly; there are train, evaluate"),
    ("trian --epochs 3", "no command trian, did you mean train? (fastcnn --help)"),
    ("data chekc photos", "no command chekc, did you mean check? (fastcnn data --help)"),
    ("bench modle lenet5", "no command modle, did you mean model? (fastcnn bench --help)"),
]


@pytest.mark.parametrize("arguments", ["", "data", "bench"])
def test_a_bare_command_shows_its_help(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: fastcnn {arguments}".rstrip()) and not said.err
    assert arguments or "Exit status: 0 where all went well; 2 for what you can mend" in said.out


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"] if command else ["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def raise_from_json():
    json.loads("{")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("expected 3"), 2, "predict: expected 3"),
        (TypeError("expected text"), 2, "predict: expected text"),
        (ImportError("pip install it"), 2, "predict: pip install it"),
        (FileNotFoundError(2, "No such file", "a.png"), 2, "No such file"),
        (PermissionError(13, "Permission denied", "a.png"), 2, "Permission denied"),
        (OSError(28, "No space left on device", "a.png"), 1, "No space left"),
        (MemoryError("too large"), 1, "predict: too large"),
        (ArithmeticError("not finite"), 1, "predict: not finite"),
        (KeyError("odd"), 1, "unforeseen KeyError"),
        (raise_from_json, 1, "unforeseen JSONDecodeError"),
    ],
)
def test_the_status_tells_what_the_user_can_mend(place, monkeypatch, capsys, error, code, words):
    def fail(*_):
        if callable(error):
            error()
        raise error

    monkeypatch.setattr(predict, "as_plain_data", fail)
    assert main(filled("predict --model @/run/model.h5 @/bar.png", place)) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "words"), MISUSED)
def test_misuse_ends_with_2(capsys, arguments, words):
    with pytest.raises(SystemExit) as exit:
        main(arguments.split())
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train --epochz 3", "train: there is no option --epochz, did you mean --epochs?"),
        ("train --epochz=3", "did you mean --epochs? (fastcnn train --help)"),
        ("evaluate --modle x", "did you mean --model? (fastcnn evaluate --help)"),
        ("data pack a b --image-sze 3", "--image-size? (fastcnn data pack --help)"),
        ("train --batch_sizes 3", "no option --batch_sizes, did you mean --batch-size?"),
        ("train --learning-rate 1", "no option --learning-rate, did you mean --lr?"),
        ("train --learning_rate=1", "no option --learning_rate, did you mean --lr?"),
        ("train --wd 1", "no option --wd, did you mean --weight-decay?"),
        ("train --gpu", "no option --gpu, did you mean --device?"),
        ("train --xy 1", "there is no option --xy. (fastcnn train --help)"),
        ("info --gpu", "there is no option --gpu. (fastcnn info --help)"),
        ("bench conv --drection all", "--direction? (fastcnn bench conv --help)"),
        ("summary --model lenet5 -x", "there is no option -x. (fastcnn summary --help)"),
        ("info more", "'more' is too much (fastcnn info --help)"),
        ("--quiet train", "fastcnn: there is no option --quiet. (fastcnn --help)"),
    ],
)
def test_a_misspelt_option_points_to_its_commands_help(capsys, arguments, words):
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_an_empty_folder_name_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--out", ""]) == 2
    assert "--out: expected the name of a folder, not ''" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_beginnings_of_options_and_words_after_two_dashes_are_taken():
    given = make_parser().parse_args(["train", "--epoch", "3", "--overw"])
    assert (given.epochs, given.overwrite) == (3, True)
    assert make_parser().parse_args(["predict", "--model", "a", "--", "--b"]).images == ["--b"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_parses(capsys, command):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    example = text.split("Example: fastcnn ", 1)[1]
    assert make_parser().parse_args(example.split()).command == command


def test_an_unforeseen_error_is_one_line_unless_debugged(place, monkeypatch, capsys):
    def fail(*_):
        raise KeyError("odd")

    monkeypatch.setattr(predict, "as_plain_data", fail)
    arguments = filled("predict --model @/run/model.h5 @/bar.png", place)
    assert main(arguments) == 1
    assert "unforeseen KeyError" in capsys.readouterr().err
    with pytest.raises(KeyError):
        main([*arguments, "--debug"])


def test_ctrl_c_is_one_line(place, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "as_plain_data", interrupt)
    assert main(filled("predict --model @/run/model.h5 @/bar.png", place)) == 130
    assert capsys.readouterr().err == "fastcnn predict: interrupted.\n"


def test_a_loss_that_is_not_finite_is_one_line(place, tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--optimizer", "sgd", "--lr", "1e30"]
    assert main([*train_arguments(place, out, 2), *options]) == 1
    assert "finite" in capsys.readouterr().err.splitlines()[-1]
