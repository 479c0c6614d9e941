"""Weights and models in and out, network by network: does each side compute the same?

    python tools/parity.py --peer /path/to/python [NETWORK ...]    # print rows of the table
    python tools/parity.py --peer /path/to/python --write [NETWORK ...]    # and put them there

The peer is a Python that has keras, torch, torchvision, timm, onnx, onnxruntime and safetensors
(tools/parity_peer.py runs in it); this one has fastcnn with its extras onnx and safetensors. What
is measured is said in docs/parity.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from parity_cases import CLASSES, Case, Peer, cases

import fastcnn

DOCUMENT = Path(__file__).parents[1] / "docs" / "parity.md"
BEGIN, END = "<!-- parity: begin -->\n", "<!-- parity: end -->\n"
COLUMNS = {
    "keras in": "Keras in",
    "keras out": "Keras out",
    "torchvision in": "torchvision in",
    "torchvision out": "torchvision out",
    "timm in": "timm in",
    "timm out": "timm out",
    "onnx in": "ONNX in",
    "onnx out": "ONNX out",
    "safetensors": "safetensors",
}
HEAD = [f"| network | {' | '.join(COLUMNS.values())} |", "| --- " * (len(COLUMNS) + 1) + "|"]


class PeerProcess:
    """The peer's Python, which does one task after the other.

    Args:
        python: Its interpreter.
    """

    def __init__(self, python: str) -> None:
        script = Path(__file__).with_name("parity_peer.py")
        pipe = subprocess.PIPE
        process = subprocess.Popen([python, script], stdin=pipe, stdout=pipe, text=True)
        self._tasks, self._answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

    def run(self, task: str, folder: Path, peer: Peer) -> np.ndarray:
        """Do a task in a folder; return the outputs that were computed there."""
        about = {"task": task, "folder": str(folder), "classes": CLASSES, **peer._asdict()}
        print(json.dumps(about), file=self._tasks, flush=True)
        if not self._answers.readline():
            raise SystemExit(f"parity: the peer ended while it should {task} {peer}")
        with np.load(folder / "outputs.npz") as outputs:
            theirs: np.ndarray = outputs["y"]
        return theirs


class Parity:
    """One case, measured in a folder.

    Args:
        case: The case.
        process: The peer's.
        folder: For the files.
    """

    def __init__(self, case: Case, process: PeerProcess, folder: Path) -> None:
        self._case, self._process, self._folder = case, process, folder
        self.cells: dict[str, str] = {}
        self._largest: dict[str, float] = {}
        self._model = case.build(seed=1)
        shape = (2, *self._model.input_shape)
        self._images = np.random.default_rng(2).standard_normal(shape, np.float32)
        self._expected = self._model.predict(self._images)
        np.savez(folder / "images.npz", x=self._images)

    def run(self) -> None:
        """Fill the cells."""
        for peer in self._case.peers:
            measure = self._from_keras if peer.library == "keras" else self._torch
            measure(peer)
            self._clear()
        for measure_own in (self._to_keras, self._onnx, self._safetensors):
            measure_own()
            self._clear()

    def _clear(self) -> None:
        """Delete the files and models of a step: VGG's are of some 500 MB each."""
        for path in self._folder.iterdir():
            if path.name != "images.npz":
                path.unlink()
        gc.collect()

    def _note(self, column: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        self._largest[column] = max(self._largest.get(column, 0.0), difference)
        self.cells[column] = f"{self._largest[column]:.1e}"

    def _run(self, task: str, peer: Peer) -> np.ndarray:
        return self._process.run(task, self._folder, peer)

    def _from_keras(self, peer: Peer) -> None:
        """The model from its archive, and its weights into the network of applications."""
        theirs = self._run("make", peer)
        model = fastcnn.load_keras(self._folder / "model.keras")
        self._note("keras in", model.predict(self._images), theirs)
        model = self._case.build()
        model.load_weights(self._folder / "model.h5")
        # Keras's EfficientNet scales pixels itself; here that is the model's `preprocessing`.
        scale = 255 if peer.name.startswith("EfficientNet") else 1
        self._note("keras in", model.predict(self._images / np.float32(scale)), theirs)

    def _to_keras(self) -> None:
        """The model as an archive, and back from the one that Keras writes of it."""
        try:
            self._model.to_keras(self._folder / "taken.keras")
        except ValueError:
            self.cells["keras out"] = "refused"
            return
        theirs = self._run("take", Peer("keras", ""))
        self._note("keras out", self._expected, theirs)
        model = fastcnn.load_keras(self._folder / "resaved.keras")
        self._note("keras in", model.predict(self._images), theirs)

    def _torch(self, peer: Peer) -> None:
        """In from a state dict in PyTorch's order, and from one sorted by name; and out."""
        theirs = self._run("make", peer)
        with np.load(self._folder / "ordered.npz") as ordered:
            state = dict(ordered)
        model = self._case.build()
        for weights in (state, self._folder / "sorted.safetensors"):
            for parameter in model.parameters:
                parameter.value[...] = 0
            fastcnn.load_torch_weights(model, weights, verbose=False)
            self._note(f"{peer.library} in", model.predict(self._images), theirs)
        taken: dict[str, Any] = dict(self._model.to_torch_state_dict(like=state))
        np.savez(self._folder / "taken.npz", **taken)
        self._note(f"{peer.library} out", self._expected, self._run("take", peer))

    def _onnx(self) -> None:
        """Written with the channels last and first, also folded; read again from each."""
        path = self._folder / "taken.onnx"
        for layout, fold in (("NHWC", False), ("NCHW", True)):
            self._model.to_onnx(path, input_layout=layout, fold_batch_norm=fold)
            self._note("onnx out", self._expected, self._run("take", Peer("onnxruntime", layout)))
            model = fastcnn.from_onnx(path)
            self._note("onnx in", model.predict(self._images), self._expected)

    def _safetensors(self) -> None:
        path = self._folder / "own.safetensors"
        self._model.save_weights(path)
        model = self._case.build()
        model.load_weights(path)
        self._note("safetensors", model.predict(self._images), self._expected)


class Table:
    """The rows by their cases, as docs/parity.md has them between its marks.

    Args:
        written: Whether the document gets each row when it is measured.
    """

    def __init__(self, written: bool) -> None:
        self._written = written
        text = DOCUMENT.read_text(encoding="utf-8")
        self._before, _, rest = text.partition(BEGIN)
        rows, _, self._after = rest.partition(END)
        self._rows = {_first_cell(row): row for row in rows.splitlines()[2:]}

    def add(self, case: Case, cells: dict[str, str]) -> None:
        """Print a case's row, and put it in the place of the one before."""
        row = f"| {case.title} | {' | '.join(cells.get(key, '') for key in COLUMNS)} |"
        print(row, flush=True)
        self._rows[case.title] = row
        if self._written:
            rows = [self._rows[at.title] for at in cases() if at.title in self._rows]
            text = "\n".join([*HEAD, *rows, ""])
            document = f"{self._before}{BEGIN}{text}{END}{self._after}"
            DOCUMENT.write_text(document, encoding="utf-8")


def _first_cell(row: str) -> str:
    return row.split("|")[1].strip()


def main() -> None:
    """Print or write the rows of the networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="of fastcnn.applications; default all")
    parser.add_argument("--peer", required=True, help="a Python with the other libraries")
    parser.add_argument("--write", action="store_true", help="put the rows into docs/parity.md")
    options = parser.parse_args()
    table, process = Table(options.write), PeerProcess(options.peer)
    print(*HEAD, sep="\n", flush=True)
    for case in cases():
        if not options.networks or case.network in options.networks:
            with tempfile.TemporaryDirectory() as folder:
                parity = Parity(case, process, Path(folder))
                parity.run()
            table.add(case, parity.cells)


if __name__ == "__main__":
    main()
