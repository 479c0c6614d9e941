"""The examples run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import photos

# A script finds the modules beside it, which tests do without.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
EXAMPLES = Path(__file__).parents[2] / "examples"


class Page(HTMLParser):
    """What a page names and shows."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.texts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data)


def test_photos_writes_one_page_that_needs_no_other_file(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("a <b>&'\"", "été"), 10)
    photos.write(root / "été" / "<script>alert(1)<!--.jpg", b"no picture")
    command = [sys.executable, EXAMPLES / "photos.py", root, "--out", tmp_path / "run"]
    command += ["--epochs", "1", "--size", "16"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    files = {path.name for path in (tmp_path / "run").iterdir()}
    pictures = {"curves.png", "confusion.png", "mistakes.png"}
    assert files == {"model.h5", "report.html", *pictures}
    page = Page(tmp_path / "run" / "report.html")
    text = "".join(page.texts)
    mistakes = page.tags.count("figure")
    assert f"{100 * (4 - mistakes) / 4:.1f} % of 4 held-out images right" in text
    assert len(page.addresses) == 2 + mistakes
    assert all(address.startswith("data:image/png;base64,iVBOR") for address in page.addresses)
    # Names are text, never tags.
    assert "script" not in page.tags and page.tags.count("b") == 2 * mistakes
    assert "a <b>&'\"" in text and "<script>alert(1)<!--.jpg: it is text" in text
    style = re.search("<style>(.*?)</style>", (tmp_path / "run" / "report.html").read_text(), re.S)
    assert "prefers-color-scheme: dark" in style[1] and "url(" not in style[1]


def test_photos_of_a_folder_that_cannot_be_split_ends_in_one_line(tmp_path):
    photos.photo_folder(tmp_path / "tiny", ("a", "b"), 1)
    photos.write(tmp_path / "flat" / "a.jpg", b"no picture")
    for name in ("tiny", "flat"):
        command = [sys.executable, EXAMPLES / "photos.py", tmp_path / name]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=ENVIRONMENT, cwd=tmp_path
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


STORIES = dict(
    re.findall(r"^\| `(\w+\.py)` .*\]\((.+?)\)", (EXAMPLES / "README.md").read_text(), re.M)
)


def test_every_story_has_its_picture_and_at_most_80_lines():
    assert len(STORIES) >= 8
    for script, picture in STORIES.items():
        assert (EXAMPLES / script).read_text(encoding="utf-8").count("\n") <= 80, script
        assert (EXAMPLES / picture).read_bytes().startswith(b"\x89PNG"), picture


def test_the_convolution_by_hand_is_the_layers(tmp_path):
    command = [sys.executable, EXAMPLES / "convolution_by_hand.py", "--out", tmp_path / "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "[[4. 3. 4.]\n [2. 4. 3.]\n [2. 3. 4.]]" in done.stdout
    assert (tmp_path / "out.png").stat().st_size > 10_000
