"""Problems in a word, as benchdnn writes them: mb32ic64ih28oc64kh3ph1n"conv2".

One or two letters name a number: `g` groups, `mb` images, `ic` and `oc` channels in and out, and
for the height `ih` and `oh` size in and out, `kh` kernel, `sh` stride, `ph` padding on top, `dh`
dilation less one; for the width the same with `w`. What follows an `n` is the name; "_" is ignored.

As in benchdnn, a descriptor without any of the w's is square; the stride is 1 and the dilation 0.
The padding on top is 0, or half of what `oh` asks for; that at the bottom is the same, or what `oh`
still asks for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fastcnn.graph.problem import Pair, Problem, output_size

EXAMPLE = "mb8ic64ih28oc64kh3ph1"
SPATIAL = ("i", "o", "k", "s", "p", "d")  # each for the height and for the width
ORDER = ("g", "mb", "ic", "ih", "iw", "oc", *(s + axis for s in "okspd" for axis in "hw"))
DEPTH = [letter + "d" for letter in SPATIAL]
MOST = 1 << 20  # of any number: far above every image and layer

LONGEST = 60  # letters of a descriptor to repeat in an error

Numbers = dict[str, int]

_FIELD = re.compile(rf"({'|'.join((*ORDER, *DEPTH))})(-?[0-9]*)")


class Described(NamedTuple):
    """What a descriptor says; `batch` is None where it has no `mb`, `name` "" without an `n`."""

    problem: Problem
    batch: int | None
    name: str


class _Axis(NamedTuple):
    """A problem along its height or its width."""

    size: int
    kernel: int
    stride: int
    pad: Pair
    dilation: int


def looks_like_descriptor(text: str) -> bool:
    """Say whether a text was probably meant as a descriptor."""
    return re.match(r"_*[a-z]{1,2}-?[0-9]", text) is not None


def parse(text: str) -> Described:
    """Return what a descriptor says; ValueError in words where it makes no sense."""
    try:
        numbers, name = _read(text)
        return Described(_problem(numbers), numbers.get("mb"), name)
    except ValueError as error:
        raise ValueError(f"descriptor {_short(text)}: {error}") from None


def _short(text: str) -> str:
    """Return a text as one line that is fit to be printed."""
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "...")


def describe(problem: Problem, batch: int, name: str = "") -> str:
    """Return the descriptor of a problem; `parse` makes one of it that computes the same."""
    height, width = _written(problem, 0), _written(problem, 1)
    numbers = {"mb": batch, "ic": problem.channels, "oc": problem.filters}
    if problem.groups > 1:
        numbers["g"] = problem.groups
    numbers |= {letter + "h": value for letter, value in height.items()}
    if width != height:
        numbers |= {letter + "w": value for letter, value in width.items()}
    text = "".join(f"{field}{numbers[field]}" for field in ORDER if field in numbers)
    return f'{text}n"{name}"' if name else text


def _written(problem: Problem, axis: int) -> Numbers:
    """Return the numbers that one axis needs, by their first letter."""
    size, out = ((problem.height, problem.out_height), (problem.width, problem.out_width))[axis]
    kernel, stride, dilation = (
        pair[axis] for pair in (problem.kernel, problem.strides, problem.dilation)
    )
    before = problem.padding[axis][0]
    numbers = {"i": size, "k": kernel}
    if stride > 1:
        numbers["s"] = stride
    if before:
        numbers["p"] = before
    if dilation > 1:
        numbers["d"] = dilation - 1
    if output_size(size, kernel, stride, dilation, (before, before)) != out:
        numbers |= {"o": out, "p": before}
    return numbers


def _read(text: str) -> tuple[Numbers, str]:
    """Return the numbers by their letters, and the name."""
    numbers: Numbers = {}
    at = 0
    while at < len(text):
        if text[at] == "_":
            at += 1
            continue
        if text[at] == "n":
            return numbers, _name(text[at + 1 :])
        match = _FIELD.match(text, at)
        if match is None:
            raise ValueError(
                f"{_short(text[at : at + 12])} does not begin with a known letter. Known: g, mb, "
                f"ic, oc, {', '.join(SPATIAL)} with h or w, and n for a name at the end."
            )
        field, digits = match.groups()
        if field in numbers:
            raise ValueError(f"'{field}' stands there twice.")
        numbers[field] = _number(field, digits)
        at = match.end()
    return numbers, ""


def _name(text: str) -> str:
    name = text.strip("\"'")
    if not name or not name.isprintable():
        raise ValueError("a name must follow the 'n'.")
    return name


def _number(field: str, digits: str) -> int:
    if field in DEPTH:
        raise ValueError(f"'{field}' is of convolutions in 3 dimensions; fastcnn has 2.")
    if digits in ("", "-"):
        raise ValueError(f"a number must follow '{field}'.")
    least = 0 if field[0] in "pd" else 1
    value = int(digits) if len(digits) < 20 else MOST + 1
    if not least <= value <= MOST:
        shown = digits if len(digits) < 20 else "a number of many digits"
        raise ValueError(f"'{field}' must be from {least} to {MOST}. Received {shown}.")
    return value


def _problem(numbers: Numbers) -> Problem:
    for field, what in (("ic", "channels in"), ("oc", "channels out")):
        if field not in numbers:
            raise ValueError(f"'{field}' is missing, the {what}.")
    groups = numbers.get("g", 1)
    if numbers["ic"] % groups or numbers["oc"] % groups:
        raise ValueError(
            f"ic {numbers['ic']} and oc {numbers['oc']} must be multiples of the groups, {groups}."
        )
    height = _axis(numbers, "h")
    width = _axis(numbers, "w") if any(letter + "w" in numbers for letter in SPATIAL) else height
    return Problem(
        height=height.size,
        width=width.size,
        channels=numbers["ic"],
        filters=numbers["oc"],
        kernel=(height.kernel, width.kernel),
        strides=(height.stride, width.stride),
        padding=(height.pad, width.pad),
        dilation=(height.dilation, width.dilation),
        groups=groups,
    )


def _axis(numbers: Numbers, axis: str) -> _Axis:
    for letter, what in (("i", "size of the images"), ("k", "size of the kernel")):
        if letter + axis not in numbers:
            raise ValueError(f"'{letter}{axis}' is missing, the {what}.")
    size, kernel = numbers["i" + axis], numbers["k" + axis]
    stride, dilation = numbers.get("s" + axis, 1), numbers.get("d" + axis, 0) + 1
    pad = _padding(numbers, axis, size, kernel, stride, dilation)
    out = output_size(size, kernel, stride, dilation, pad)
    if out < 1:
        raise ValueError(
            f"the kernel reaches over {(kernel - 1) * dilation + 1} pixels, which do not fit into "
            f"the {size + sum(pad)} of the padded image (i{axis}, k{axis}, p{axis}, d{axis})."
        )
    asked = numbers.get("o" + axis, out)
    if out != asked:
        raise ValueError(f"o{axis} says {asked}, but the output has {out}.")
    return _Axis(size, kernel, stride, pad, dilation)


def _padding(
    numbers: Numbers, axis: str, size: int, kernel: int, stride: int, dilation: int
) -> Pair:
    before = numbers.get("p" + axis)
    asked = numbers.get("o" + axis)
    even = (before or 0, before or 0)
    if asked is None or output_size(size, kernel, stride, dilation, even) == asked:
        return even
    total = (asked - 1) * stride + (kernel - 1) * dilation + 1 - size
    if before is None:
        before = max(total // 2, 0)
    return before, max(total - before, 0)
