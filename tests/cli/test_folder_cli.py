"""`fastcnn data pack | check | stats | show`, and the statistics behind them."""

from __future__ import annotations

import json
import warnings

import numpy as np
import photos
import pytest
from PIL import Image

from fastcnn import plots
from fastcnn.cli import main
from fastcnn.data import from_folder, from_packed, pack
from fastcnn.data.folder import inspection


@pytest.fixture
def folder(tmp_path):
    """Two classes, one of them with a file that is no image."""
    root = photos.photo_folder(tmp_path / "photos", ("cat", "dög"), 5)
    photos.write(root / "cat" / "big.jpg", photos.encoded(photos.smooth(), "JPEG"))
    photos.write(root / "dög" / "words.jpg", b"no picture")
    return root


def run(capsys, *arguments):
    """The code, and what was printed: as JSON where it was asked for."""
    code = main(["data", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, json.loads(out) if "--json" in arguments else out, err


def test_pack_writes_a_set_and_reports(folder, tmp_path, capsys):
    target = tmp_path / "photos.h5"
    code, report, _ = run(
        capsys, "pack", folder, target, "--size", "12x16", "--resize", "crop", "--json"
    )
    assert code == 0
    assert report["images"] == 11
    assert report["image_shape"] == [12, 16, 3]
    assert report["bytes"] == target.stat().st_size
    assert report["skipped"] == [{"path": "dög/words.jpg", "reason": "it is text"}]
    found = from_packed(target)
    with pytest.warns(UserWarning, match="skipped"):
        expected = from_folder(folder, (12, 16), resize="crop", on_error="skip")
    out = np.empty((11, 12, 16, 3), np.uint8)
    np.testing.assert_array_equal(found.images(np.arange(11), out), expected.x)
    code, text, _ = run(capsys, "pack", folder, target, "--color", "grayscale")
    assert code == 0
    assert "dög/words.jpg: it is text" in text
    assert "11 images of 64 x 64 x 1" in text


def test_pack_fails_where_asked_and_leaves_nothing(folder, tmp_path, capsys):
    target = tmp_path / "photos.h5"
    code, out, err = run(capsys, "pack", folder, target, "--on-error", "raise")
    assert (code, out) == (2, "")
    assert "words.jpg" in err
    assert not target.exists()


def test_a_packed_file_is_not_packed_into_itself(folder, tmp_path, capsys):
    target = tmp_path / "photos.h5"
    assert run(capsys, "pack", folder, target)[0] == 0
    code, _, err = run(capsys, "pack", target, target)
    assert code == 2
    assert "into itself" in err
    assert len(from_packed(target)) == 11


def test_check_reads_everything_and_its_code_tells(folder, capsys):
    photos.write(folder / "cat" / "cut.png", photos.encoded(photos.colours(40, 40))[:1500])
    code, report, _ = run(capsys, "check", folder, "--json")
    assert code == 1
    assert {one["path"] for one in report["skipped"]} == {"cat/cut.png", "dög/words.jpg"}
    assert report["formats"] == {"PNG": 10, "JPEG": 1}
    assert report["width"] == {"least": 24, "median": 24, "most": 160}
    assert [one["images"] for one in report["classes"]] == [6, 5]
    code, text, _ = run(capsys, "check", folder)
    assert code == 1
    assert "Formats: 10 PNG, 1 JPEG. Colours: 11 RGB." in text
    (folder / "cat" / "cut.png").unlink()
    (folder / "dög" / "words.jpg").unlink()
    assert run(capsys, "check", folder)[0] == 0


def test_check_finds_a_changed_image_in_a_packed_file(folder, tmp_path, capsys):
    target = tmp_path / "photos.h5"
    run(capsys, "pack", folder, target)
    code, text, _ = run(capsys, "check", target)
    assert code == 0
    assert "Every image is as it was packed." in text
    found = from_packed(target)
    image = np.empty((1, 64, 64, 3), np.uint8)
    found.images(np.array([4]), image)
    content = bytearray(target.read_bytes())
    content[content.index(image.tobytes())] ^= 255
    target.write_bytes(content)
    code, report, _ = run(capsys, "check", target, "--json")
    assert code == 1
    assert report["damaged"] == [found.files[4]]


def test_stats_are_those_of_numpy(folder, tmp_path, capsys):
    code, report, _ = run(capsys, "stats", folder, "--size", "20x24", "--json")
    with pytest.warns(UserWarning, match="skipped"):
        x = from_folder(folder, (20, 24), on_error="skip").x.astype(np.float64)
    assert code == 0
    # float64 sums of 5,280 values against exact integers.
    np.testing.assert_allclose(report["mean"], x.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(report["deviation"], x.std(axis=(0, 1, 2)), rtol=1e-12)
    assert [(one["name"], one["images"]) for one in report["classes"]] == [("cat", 6), ("dög", 5)]
    run(capsys, "pack", folder, tmp_path / "p.h5", "--size", "20x24")
    assert run(capsys, "stats", tmp_path / "p.h5", "--json")[1] == report
    assert "mean" in run(capsys, "stats", folder)[1]


def test_stats_of_known_sets_and_npz(tmp_path, capsys):
    code, report, _ = run(capsys, "stats", "sample", "--json")
    assert code == 0
    assert report["images"] == 6000
    x = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    y = np.array([1, 0])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    code, report, _ = run(capsys, "stats", tmp_path / "a.npz", "--json")
    assert report["mean"] == [11.5]
    assert [one["name"] for one in report["classes"]] == ["0", "1"]


def test_statistics_of_streamed_held_and_packed_images_agree(folder, tmp_path):
    sources = []
    for in_memory in (True, False):
        with pytest.warns(UserWarning, match="skipped"):
            sources.append(from_folder(folder, (9, 9), on_error="skip", in_memory=in_memory))
    pack(sources[0], tmp_path / "p.h5")
    found = [inspection.measure(source) for source in (*sources, from_packed(tmp_path / "p.h5"))]
    for one in found[1:]:
        assert one.described() == found[0].described()


def test_show_draws_a_batch(folder, tmp_path, capsys):
    target = tmp_path / "batch.png"
    code, text, _ = run(capsys, "show", folder, "--out", target, "--count", "6")
    assert code == 0
    assert "6 of 11 images" in text
    plain = np.asarray(Image.open(target))
    arguments = ("--augment", "RandomRotation(0.2, fill_mode='constant')", "--augment=RandomFlip")
    assert run(capsys, "show", folder, "--out", target, "--count", "6", *arguments)[0] == 0
    turned = np.asarray(Image.open(target))
    assert turned.shape == plain.shape
    assert (turned != plain).any()
    code, report, _ = run(
        capsys, "show", "sample", "--out", target, "--augment", "RandomCrop(20, 24)", "--json"
    )
    assert (code, report["image_shape"]) == (0, [20, 24, 1])


def shown(capsys, monkeypatch, *arguments):
    """The images that `show` draws, and their titles."""
    drawn = {}

    def images(x, labels, class_names, save):
        drawn.update(x=np.array(x), titles=[class_names[label] for label in labels])

    monkeypatch.setattr(plots, "images", images)
    code, _, err = run(capsys, "show", *arguments)
    assert (code, err) == (0, "")
    return drawn["x"], drawn["titles"]


def test_show_does_what_training_does(tmp_path, capsys, monkeypatch):
    """Mixing, fixed steps, and what is fitted to the images."""
    root = photos.photo_folder(tmp_path / "photos", ("cat", "dög"), 20)
    common = (root, "--size", "8x9", "--count", "12", "--seed", "3")
    plain, titles = shown(capsys, monkeypatch, *common)
    assert set(titles) == {"cat", "dög"}
    mixed, parts = shown(capsys, monkeypatch, *common, "--augment", "MixUp(1.0)")
    assert mixed.dtype == np.uint8
    assert (mixed != plain).any()
    shares = [part.split(" % ") for title in parts for part in title.split(", ") if "%" in part]
    assert len(shares) > 2
    assert {name for _, name in shares} == {"cat", "dög"}
    cut, parts = shown(capsys, monkeypatch, *common, "--augment=cutmix")
    assert any("%" in title for title in parts)
    assert set(np.unique(cut)) <= set(np.unique(plain))
    middle, _ = shown(capsys, monkeypatch, *common, "--augment=CenterCrop(4, 5)")
    np.testing.assert_array_equal(middle, plain[:, 2:6, 2:7])
    coloured, _ = shown(capsys, monkeypatch, *common, "--augment", "PCAColor(0.5)")
    moved = coloured.astype(int) - plain
    assert moved.any()
    inner = (coloured > 0) & (coloured < 255)
    for number in range(12):
        for channel in range(3):
            # One shift for a whole channel of an image, but for rounding and the cut.
            assert np.ptp(moved[number, ..., channel][inner[number, ..., channel]]) <= 1
    white, _ = shown(capsys, monkeypatch, *common, "--augment", "ZCAWhitening(1.0)")
    assert white.dtype == np.float32
    assert abs(white.mean()) < 0.5
    standard, _ = shown(capsys, monkeypatch, *common, "--augment", "PerImageStandardization")
    np.testing.assert_allclose(standard.std(axis=(1, 2, 3)), 1, rtol=1e-3)


def test_show_leaves_out_what_cannot_be_read(folder, tmp_path, capsys):
    content = photos.encoded(photos.colours(40, 40))
    photos.write(folder / "cat" / "cut.png", content[: len(content) // 2])
    target = tmp_path / "batch.png"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, text, err = run(capsys, "show", folder, "--out", target)
    assert code == 0
    assert "11 of 12 images" in text
    assert "Note: A file of" in err
    assert "cat/cut.png" in err


def test_show_makes_no_folders(folder, tmp_path, capsys):
    code, out, err = run(capsys, "show", folder, "--out", tmp_path / "no" / "such" / "batch.png")
    assert (code, out) == (2, "")
    assert "there is no folder" in err
    assert not (tmp_path / "no").exists()


def test_pack_reports_damage_behind_headers_once(folder, tmp_path, capsys):
    content = photos.encoded(photos.colours(40, 40))
    photos.write(folder / "cat" / "cut.png", content[: len(content) // 2])
    code, text, err = run(capsys, "pack", folder, tmp_path / "p.h5")
    assert (code, err) == (0, "")
    assert "cat/cut.png: it is cut short" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "sample", "--augment", "RandomRotate"), "RandomRotat"),
        (("show", "sample", "--augment", "RandomRotation(x)"), "RandomRotation"),
        (("show", "sample", "--augment", "__import__('os').getcwd()"), "expected a name"),
        (("show", "sample", "--augment", "RandomFlip("), "RandomFlip"),
        (("check", "nowhere"), "Unknown data set 'nowhere'"),
        (("stats", "smaple"), "sample"),
        (("stats", "no/where"), "no folder and no file 'no/where'"),
        (("stats", "nowhere.h5"), "no file 'nowhere.h5'"),
    ],
)
def test_wrong_use_ends_with_code_2_in_words(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_a_wrong_size_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["data", "stats", "sample", "--size", "big"])
    assert ended.value.code == 2
    assert "64 or 48x64, not 'big'" in capsys.readouterr().err
