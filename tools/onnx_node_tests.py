"""Which of the back-end node tests of the package onnx `fastcnn.from_onnx` passes.

    python tools/onnx_node_tests.py            # the tests that fail, and why
    python tools/onnx_node_tests.py --write    # and the table in docs/interchange.md

A test is a graph of one node, with inputs and outputs. Its first input, or the only one that is not
a weight in a network, is taken for the images; all others become constants of the graph, as they
are in a network's file. Tests of operations that no network of images has are not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_node_model_tests

import fastcnn
from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.onnx_import import HANDLERS

DOCUMENT = Path(__file__).parents[1] / "docs" / "interchange.md"
BEGIN, END = "<!-- node tests: begin -->\n", "<!-- node tests: end -->\n"
OTHERS = {"AffineGrid", "GridSample", "Gather", "DepthToSpace", "SpaceToDepth", "LogSoftmax"}
OTHERS |= {"Split", "MaxUnpool", "Hardmax", "Softsign", "Erf", "Exp", "Sqrt", "Pow", "GlobalLpPool"}
"""What networks of images have as well, and from_onnx has not."""
IMAGES = "no batch of maps or rows"
DIFFERS = "a constant differs from pixel to pixel"
ACROSS = "it acts across the images of a batch, or steps over numbers"
REASONS = {
    "fastcnn's models take images": IMAGES,
    "has no shape": IMAGES,
    "no layer for this operation": "fastcnn has no layer for the operation",
    "differ from pixel": DIFFERS,
    "one number, or one for": DIFFERS,
    "does not lie along the channels": DIFFERS,
    "the slope has the shape": DIFFERS,
    "cannot give images": ACROSS,
    "leaves its input's shape open": IMAGES,
    "the matrix has the shape": "a matrix for each image",
    "the bias has the shape": ACROSS,
    "it drops the axes": ACROSS,
    "images' transpose": ACROSS,
    "with it across the images": ACROSS,
    "should read maps": "not of maps",
    "of maps": "not of maps",
    "it pads maps by": "not of maps",
    "several images": ACROSS,
    "axis of the images": ACROSS,
    "that of the images": ACROSS,
    "first before the images": ACROSS,
    "takes some of the images": ACROSS,
    "of what has": ACROSS,
    "height and width": "other axes than height and width, or other factors than whole numbers",
    "for training": "it is for training",
    "and is constant": "a constant beside what is computed from the images",
    "one input": "several inputs that no constants can stand for",
    "one output": "several outputs",
    "only the first one is had": "several outputs",
    "dilation": "poolings with dilation",
    "between pixels": "another interpolation or border",
    "its mode": "another interpolation or border",
    "holds no numbers": "numbers of a type that fastcnn has not",
    "other numbers than": "numbers of a type that fastcnn has not",
    "cuts other axes": "it cuts other axes than height and width",
}


class Outcome(NamedTuple):
    """Whether a test passed, and why not."""

    passed: bool
    reason: str = ""


def outcome(model: onnx.ModelProto, data: Any, tolerances: tuple[float, float]) -> Outcome:
    """Load a test's graph, compute its output, and compare."""
    inputs, outputs = data
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = [value.name for value in copy.graph.input]
    for name, array in zip(names[1:], inputs[1:], strict=True):
        if isinstance(array, np.ndarray | np.generic):
            copy.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    images = inputs[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test.onnx")
        path.write_bytes(copy.SerializeToString())
        try:
            network = fastcnn.from_onnx(path, output=copy.graph.output[0].name)
        except FormatError as error:
            return Outcome(False, short(str(error)))
    network.to("cpu")
    if getattr(images, "dtype", None) != np.float32:
        return Outcome(False, "numbers of a type that fastcnn has not")
    x = images
    if images.ndim == 4 and network.input_shape == (*images.shape[2:], images.shape[1]):
        x = images.transpose(0, 2, 3, 1)
    x = x.reshape(len(x), *network.input_shape)
    y = network.predict(np.ascontiguousarray(x))
    expected = np.asarray(outputs[0])
    candidates = [y, y.transpose(0, 3, 1, 2)] if y.ndim == 4 else [y]
    atol, rtol = tolerances
    for candidate in candidates:
        if candidate.shape == expected.shape and np.allclose(candidate, expected, rtol, atol):
            return Outcome(True)
    return Outcome(False, "other numbers")


def short(message: str) -> str:
    """Return a refusal as the table has it."""
    return next((text for part, text in REASONS.items() if part in message), message[-90:])


def table(results: dict[str, list[tuple[str, Outcome]]]) -> str:
    """Return the results by operation, in Markdown."""
    lines = ["| operation | tests | passed | why the others do not |", "| --- | --- | --- | --- |"]
    for kind in sorted(results):
        outcomes = [result for _, result in results[kind]]
        reasons = Counter(result.reason for result in outcomes if not result.passed)
        why = "; ".join(f"{text} ({count})" for text, count in sorted(reasons.items()))
        passed = sum(result.passed for result in outcomes)
        lines.append(f"| {kind} | {len(outcomes)} | {passed} | {why} |")
    total = sum(map(len, results.values()))
    passed = sum(result.passed for listed in results.values() for _, result in listed)
    lines.append(f"| all | {total} | {passed} | |")
    return "\n".join(lines) + "\n"


def run_all() -> dict[str, list[tuple[str, Outcome]]]:
    """Return the outcomes of all tests in scope, by operation."""
    results = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_node_model_tests()
    for case in cases:
        model = case.model
        if model is None:
            continue
        kinds = {node.op_type for node in model.graph.node}
        if len(model.graph.node) != 1 or not kinds <= HANDLERS.keys() | OTHERS:
            continue
        (kind,) = kinds
        tolerances = getattr(case, "atol", None) or 1e-7, max(case.rtol or 1e-3, 1e-5)
        for data in case.data_sets or ():
            results[kind].append((case.name, outcome(model, data, tolerances)))
    return results


def main() -> None:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the document")
    arguments = parser.parse_args()
    results = run_all()
    text = table(results)
    if not arguments.write:
        for listed in results.values():
            for name, result in listed:
                if not result.passed:
                    print(f"{name}: {result.reason}")
    print(text)
    if arguments.write:
        document = DOCUMENT.read_text(encoding="utf-8")
        before, rest = document.split(BEGIN)
        document = before + BEGIN + text + END + rest.split(END)[1]
        DOCUMENT.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
