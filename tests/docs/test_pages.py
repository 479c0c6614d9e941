"""Every block of code in the pages is run, or checked as its mark says."""

from __future__ import annotations

import contextlib
import io
import re

import commands
import pytest
from code_blocks import PAGES, ROOT, WAYS, Block, blocks
from matplotlib import pyplot

import fastcnn
from fastcnn.applications import pretrained

PATHS = {path.relative_to(ROOT).as_posix(): path for path in PAGES}
BLOCKS = {name: list(blocks(path.read_text(encoding="utf-8"))) for name, path in PATHS.items()}


def lines_of(text: str) -> list[str]:
    """The lines with words in them, with one space where there are several."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def is_shown(said: list[str], shown: list[str]) -> bool:
    """Whether all lines stand among what was printed, in their order."""
    rest = iter(said)
    return all(line in rest for line in shown if line != "...")


class Page:
    """A reader who does what a page says, in a folder of his own, from the top to the bottom."""

    def __init__(self, path, monkeypatch):
        self.path = path
        self.names = {"__name__": "__main__", "monkeypatch": monkeypatch}
        self.said = ""

    def take(self, block: Block) -> None:
        match block.way:
            case ("python", "" | "setup"):
                self.run(block)
            case ("python", "compile"):
                self.compiled(block)
            case ("sh", "run"):
                with self.listening():
                    for words in commands.command_lines(block.text):
                        commands.run(words)
            case ("sh", "parse"):
                for words in commands.command_lines(block.text):
                    commands.check(words)
            case ("text", "output"):
                assert is_shown(lines_of(self.said), lines_of(block.text)), self.said

    def run(self, block: Block) -> None:
        if block.title.endswith(".py"):
            with open(block.title, "w", encoding="utf-8") as file:
                file.write(block.text)
        with self.listening():
            exec(self.compiled(block), self.names)

    def compiled(self, block: Block):
        """The block's code, with the page's numbers of lines in its traceback."""
        return compile("\n" * block.line + block.text, str(self.path), "exec")

    @contextlib.contextmanager
    def listening(self):
        """Keeps what is printed meanwhile."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            yield
        self.said = printed.getvalue()


@pytest.mark.parametrize("name", [name for name, page in BLOCKS.items() if page])
def test_what_a_page_says_works(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "PREFERRED", ())  # whichever weights lie on this computer
    threads = fastcnn.num_threads()
    page = Page(PATHS[name], monkeypatch)
    try:
        for block in BLOCKS[name]:
            page.take(block)
    finally:
        fastcnn.set_num_threads(threads)
        pyplot.close("all")


@pytest.mark.parametrize("name", BLOCKS)
def test_no_block_is_without_a_way_to_test_it(name):
    text = PATHS[name].read_text(encoding="utf-8")
    assert not [(block.line, *block.way) for block in BLOCKS[name] if block.way not in WAYS]
    fences = re.findall(r"^ *(?:```|~~~).*$", text, re.MULTILINE)
    assert len(fences) == 2 * len([block for block in BLOCKS[name] if block.mark != "setup"])
