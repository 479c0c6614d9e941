"""train, evaluate and predict on folders of photos and packed files: prepared and named alike."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import photos
import pytest
from PIL import Image

import fastcnn
from fastcnn.cli import main
from fastcnn.cli.commands import predict as prediction
from fastcnn.cli.options import augment as augmenting
from fastcnn.cli.options.errors import UsageError
from fastcnn.data import Decoder, from_folder, from_packed
from fastcnn.data.augment import augment as of
from fastcnn.data.augment.mixing import MixUp
from fastcnn.data.images import parallel_decode

NET = """
import fastcnn
from fastcnn.layers import Dense, Flatten, Rescaling
layers = [Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax")]
model = fastcnn.Sequential(layers, input_shape=(12, 10, 3), seed=1)
"""


def bars(number, right):
    """A picture twice as wide as high, in random colours, whose left or right half is bright."""
    pixels = photos.colours(24, 48, seed=number) // 3
    half = slice(24, 48) if right else slice(0, 24)
    pixels[:, half] += np.uint8(150)
    return Image.fromarray(pixels)


def hostile_folder(root):
    """Two classes of pictures in every colour mode and of several formats, some of them turned by
    EXIF, with names in Unicode; and whatever else real folders hold."""
    for label, name in enumerate(("links", "rêve droit")):
        (root / name).mkdir(parents=True)
        for number in range(20):
            picture = bars(number, label == 1)
            kinds = [
                lambda p: photos.encoded(p, "JPEG", quality=95),
                lambda p: photos.encoded(p.convert("CMYK"), "JPEG", quality=95),
                lambda p: photos.encoded(p.quantize(64), "GIF"),
                lambda p: photos.encoded(np.asarray(p.convert("L")).astype(np.uint16) * 257),
                lambda p: photos.encoded(_turned(p), "JPEG", quality=95, exif=_turn(6)),
            ]
            photos.write(root / name / f"bïld {number}.jpg", kinds[number % 5](picture))
    whole = photos.encoded(bars(0, False), "JPEG")
    photos.write(root / "links" / "cut.jpg", whole[: len(whole) // 2])
    photos.write(root / "links" / "zero.jpg", b"")
    photos.write(root / "links" / "words.jpg", b"no picture")
    photos.write(root / "links" / "bomb.jpg", photos.bomb("JPEG"))
    (root / "links" / "up").symlink_to(root, target_is_directory=True)
    return root


def _turned(picture):
    return picture.transpose(Image.Transpose.ROTATE_90)


def _turn(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A hostile folder `photos`, the same packed, a network, and in `run` a training of it."""
    folder = tmp_path_factory.mktemp("cli folders")
    hostile_folder(folder / "photos")
    (folder / "net.py").write_text(NET)
    packed = ["data", "pack", folder / "photos", folder / "photos.h5"]
    assert main([*map(str, packed), "--image-size", "12x10", "--resize", "crop"]) == 0
    assert main(["train", "--data", str(folder / "photos"), *training(folder, "run")]) == 0
    return folder


def training(folder, out, *more):
    line = ("--model", folder / "net.py", "--resize", "crop", "--epochs", 6, "--lr", 0.01)
    return [str(word) for word in (*line, "--out", folder / out, "--validation-split", 0.2, *more)]


def run(capsys, *words):
    """The code, and what was printed: as JSON where it was asked for."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, json.loads(out) if "--json" in words and out else out, err


def test_the_model_knows_how_its_images_were_made_and_what_they_show(place):
    model = fastcnn.load(place / "run" / "model.h5")
    assert model.class_names == ["links", "rêve droit"]
    assert model.decoder == Decoder(12, 10, "rgb", "crop")
    assert not (place / "run" / "report.json").exists()


def test_training_tells_what_it_leaves_out_and_learns_the_rest(place, capsys, tmp_path):
    words = training(place, tmp_path / "run", "--json")
    code, report, err = run(capsys, "train", "--data", place / "photos", *words)
    assert code == 0
    assert "4 of 44 files were skipped" in err
    assert "fastcnn data check" in err
    assert (report["measured_on"], report["validation_images"]) == ("validation", 8)
    assert report["validation_accuracy"] == 1.0
    _, report, _ = run(
        capsys,
        *("evaluate", "--model", tmp_path / "run" / "model.h5", "--data", place / "photos"),
        *("--validation-split", 0.2, "--json"),
    )
    assert (report["images"], report["accuracy"]) == (8, 1.0)


def test_on_error_raise_ends_with_the_files_name(place, capsys, tmp_path):
    words = training(place, tmp_path / "run", "--on-error", "raise")
    code, _, err = run(capsys, "train", "--data", place / "photos", *words)
    assert code == 2
    assert "zero.jpg" in err or "cut.jpg" in err or "words.jpg" in err or "bomb.jpg" in err
    assert not (tmp_path / "run").exists()


def test_a_packed_file_trains_the_same_bits(place, capsys, tmp_path):
    words = training(place, tmp_path / "run")
    words = [word for word in words if word not in ("--resize", "crop")]
    assert run(capsys, "train", "--data", place / "photos.h5", *words)[0] == 0
    packed, folder = (fastcnn.load(p / "run" / "last.h5") for p in (tmp_path, place))
    for expected, found in zip(folder.get_weights(), packed.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert packed.decoder == folder.decoder
    assert packed.class_names == folder.class_names


def test_files_are_predicted_as_they_were_trained(place, capsys):
    """Cropped, as in training, and not stretched; a folder of files too."""
    model = fastcnn.load(place / "run" / "model.h5")
    path = place / "photos" / "rêve droit" / "bïld 4.jpg"
    expected = {}
    for resize in ("crop", "stretch"):
        image = Decoder(12, 10, resize=resize)(str(path))
        expected[resize] = float(model.predict(image[None]).min())
    np.testing.assert_array_equal(
        model.decoder(str(path)), Decoder(12, 10, resize="crop")(str(path))
    )
    words = ("predict", "--model", place / "run" / "model.h5", "--json")
    for resize, more in (("crop", ()), ("stretch", ("--resize", "stretch"))):
        _, report, _ = run(capsys, *words, path, *more)
        first, second = report[0]["classes"]
        assert first["name"] == "rêve droit"
        assert second["probability"] == pytest.approx(expected[resize], rel=1e-4)
    assert expected["crop"] != pytest.approx(expected["stretch"], rel=1e-2)
    code, report, err = run(capsys, *words, place / "photos")
    assert (code, len(report)) == (0, 40)
    (note,) = (line for line in err.splitlines() if "skipped" in line)
    assert note.startswith("Note: 4 of 44 files were skipped, among them '")
    assert note.endswith("1 because it is text).")
    assert run(capsys, *words, place / "photos", "--on-error", "raise")[0] == 2
    right = [one["classes"][0]["name"] in one["image"] for one in report]
    assert np.mean(right) > 0.95
    names = [*(f"bïld {number}.jpg" for number in range(6)), "zero.jpg"]
    code, report, err = run(capsys, *words, *(place / "photos" / "links" / one for one in names))
    assert code == 2
    assert "cannot be read" in err and "--on-error skip leaves such files out." in err
    assert len(report) == 6


def test_a_folder_that_is_measured_may_hold_some_of_the_classes(place, capsys, tmp_path):
    for number in range(5):
        content = photos.encoded(bars(50 + number, True))
        photos.write(tmp_path / "more" / "rêve droit" / f"{number}.png", content)
    words = ("evaluate", "--model", place / "run" / "model.h5", "--data", tmp_path / "more")
    code, report, _ = run(capsys, *words, "--json")
    assert (code, report["images"], report["measured_on"]) == (0, 5, "all")
    assert report["accuracy"] == 1.0
    assert [one["images"] for one in report["classes"]] == [0, 5]
    photos.photo_folder(tmp_path / "more", ("zebra",), 2)
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "more': classes that the model does not know: zebra. It knows links, rêve droit." in err


def test_networks_by_name_take_the_folders_size_and_augmentations(place, capsys, tmp_path):
    line = ("--data", place / "photos", "--image-size", "20x24", "--color", "grayscale")
    augment = ("--augment", "flip,RandomCrop(16, 20)", "--augment", "mixup")
    out = ("--epochs", 1, "--out", tmp_path / "run")
    words = ("--model", "lenet5", *line, *augment, *out)
    assert run(capsys, "train", *words)[0] == 0
    model = fastcnn.load(tmp_path / "run" / "model.h5")
    assert model.input_shape == (16, 20, 1)
    assert model.decoder == Decoder(20, 24, "grayscale")
    path = place / "photos" / "links" / "bïld 0.jpg"
    assert run(capsys, "predict", "--model", tmp_path / "run" / "model.h5", path)[0] == 0
    assert run(capsys, "train", "--out", tmp_path / "run", "--resume", "--epochs", 2)[0] == 0
    kept = tomllib.loads((tmp_path / "run" / "settings.toml").read_text())
    assert kept["augment"] == ["flip,RandomCrop(16, 20)", "mixup"]
    assert kept["image_size"] == [20, 24]


def test_without_held_out_images_the_training_images_are_measured(place, capsys, tmp_path):
    words = training(place, tmp_path / "run", "--validation-split", 0, "--json")
    code, report, _ = run(capsys, "train", "--data", place / "photos", *words)
    assert (code, report["measured_on"], report["training_images"]) == (0, "training", 40)


def test_short_names_of_augmentations():
    found = augmenting.parse([",".join(augmenting.SHORT)], (32, 48, 3))
    assert len(found) == len(augmenting.SHORT)
    assert repr(found[1]).startswith("RandomCrop(height=32, width=48, padding=4")
    assert isinstance(found[-2], MixUp)
    assert augmenting.shape_after(found, (32, 48, 3)) == (32, 48, 3)
    one, other = augmenting.parse(
        ["RandomZoom(0.2, fill_mode='wrap'), center_crop(8, 9)"], (9, 9, 1)
    )
    assert (one.height_factor, one.fill_mode) == (0.2, "wrap")
    assert augmenting.shape_after([one, other], (20, 20, 1)) == (8, 9, 1)
    of.Augment(found[:-2]).output_shape((32, 48, 3))  # they can be combined
    with pytest.raises(UsageError, match=r"Did you mean 'rotation'"):
        augmenting.parse(["rotatoin"], (9, 9, 1))


REFUSED = [
    ("train --data @/photos --augment spin", 2, "Unknown augmentation 'spin'"),
    ("train --data @/photos --augment RandomCrop(99,99)", 2, "must fit into the image"),
    ("train --data @/photos.h5 --color rgba", 2, "--color is for folders"),
    ("train --data sample --image-size 32", 2, "--image-size is for folders"),
    ("train --data nowhere --image-size 32", 2, "Unknown data set 'nowhere'."),
    ("train --data no/where --layout classes", 2, "There is no folder and no file 'no/where'."),
    ("train --data nowhere --preset best", 2, "Or give a folder"),
    ("train --set foo=1", 2, "Unknown setting 'foo'. Known: "),
    ("train --data @/none.h5", 2, "no file"),
    ("train --data @/run/model.h5", 2, "no packed set of images"),
    ("train --data @/run", 2, "one folder a class"),
    ("train --data @/net.py", 2, "neither a folder, nor"),
    ("train --data @/photos --model @/net.py --image-size 9", 2, "have shape (9, 9, 3)"),
    ("evaluate --model @/run/model.h5 --data @/photos --image-size 9", 2, "have shape (9, 9, 3)"),
    ("predict --model @/run/model.h5 @/photos/links/none", 2, "no file"),
]


@pytest.mark.parametrize(("line", "code", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_are_one_line(place, tmp_path, capsys, monkeypatch, line, code, words):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, *(word.replace("@", str(place)) for word in line.split()))
    assert (found, out) == (code, "")
    assert words in err.splitlines()[-1]


def test_the_packed_file_is_the_folder(place):
    folder = from_packed(place / "photos.h5")
    with pytest.warns(UserWarning, match=r"skipped"):
        expected = from_folder(place / "photos", (12, 10), resize="crop", on_error="skip")
    assert folder.decoder == expected.decoder
    assert folder.files == expected.files


def test_a_saved_model_goes_on_with_its_classes_as_it_counts_them(place, capsys, tmp_path):
    """A folder of one of its classes, which stands second in the model."""
    for number in range(5):
        content = photos.encoded(bars(50 + number, True))
        photos.write(tmp_path / "more" / "rêve droit" / f"{number}.png", content)
    words = ("--validation-split", 0, "--epochs", 1, "--out", tmp_path / "run")
    line = (
        "train",
        "--model",
        place / "run" / "model.h5",
        "--data",
        tmp_path / "more",
        *words,
        "--json",
    )
    code, report, err = run(capsys, *line)
    assert (code, report["training_accuracy"]) == (0, 1.0) and "is taught" not in err
    assert fastcnn.load(tmp_path / "run" / "model.h5").class_names == ["links", "rêve droit"]


def test_a_saved_model_may_be_taught_other_classes_and_says_so(place, capsys, tmp_path):
    for name in ("ant", "bee"):
        photos.photo_folder(tmp_path / "others", (name,), 3)
    words = ("--validation-split", 0, "--epochs", 1, "--out", tmp_path / "run")
    line = ("train", "--model", place / "run" / "model.h5", "--data", tmp_path / "others", *words)
    code, _, err = run(capsys, *line)
    assert code == 0 and "which knew links, rêve droit, is taught other classes" in err
    assert fastcnn.load(tmp_path / "run" / "model.h5").class_names == ["ant", "bee"]


def test_answers_come_while_others_are_made(place, capsys, monkeypatch):
    """Gathered, however few files are decoded at once; lines, not one list at the end."""
    sizes, printed = [], []
    predict = fastcnn.Sequential.predict

    def watched(model, images, **options):
        printed.append(capsys.readouterr().out.count("\n"))
        sizes.append(len(images))
        return predict(model, images, **options)

    monkeypatch.setattr(fastcnn.Sequential, "predict", watched)
    monkeypatch.setattr(prediction, "GATHERED", 16)
    words = ("--model", place / "run" / "model.h5", "--on-error", "skip", place / "photos")
    assert main(["predict", *map(str, words)]) == 0
    assert sum(sizes) == 40 and printed[0] == 0 and printed[1:] == sizes[:-1]
    assert all(16 <= size < 16 + parallel_decode.CHUNK for size in sizes[:-1])
