"""What the ending of a file's name says of its format, where that is not the one at hand."""

from __future__ import annotations

import os

from fastcnn.hdf5.errors import FormatError

Path = str | os.PathLike[str]

HDF5 = (".h5", ".hdf5")
KERAS = (".keras",)
ONNX = (".onnx",)
PYTORCH = (".pth", ".pt", ".th")
CAFFE = (".caffemodel",)
SAFETENSORS = (".safetensors",)

READERS = {
    HDF5: "fastcnn.load_keras(path) for a model, and model.load_weights(path) for weights alone,",
    KERAS: "fastcnn.load_keras(path)",
    PYTORCH: "fastcnn.load_torch_weights(model, path)",
    CAFFE: "fastcnn.load_caffe_weights(model, path)",
    ONNX: "fastcnn.from_onnx(path)",
    SAFETENSORS: (
        "fastcnn.load_torch_weights(model, path), or model.load_weights(path) where fastcnn wrote "
        "it,"
    ),
}
"""What reads files of each name."""

WRITERS = {
    KERAS: "an archive of Keras. model.to_keras(path) writes one",
    ONNX: "an ONNX file. model.to_onnx(path) writes one",
    PYTORCH: "a file of PyTorch, which save_weights writes none of but .safetensors",
    CAFFE: "a file of Caffe, which fastcnn does not write",
    (".npz", ".npy", ".zip", ".json", ".pkl", ".pickle"): "of another format",
}
"""What a file of that name is expected to be, and who writes it."""


def has(path: Path, endings: tuple[str, ...]) -> bool:
    """Return whether a file's name ends in one of these, in capitals or not."""
    return os.fspath(path).lower().endswith(endings)


def check_written(method: str, path: Path, weights_alone: bool = False) -> None:
    """Refuse to write where a file would have the name of another format.

    Args:
        method: What writes the file.
        path: The file.
        weights_alone: Whether weights are written without the model, as safetensors can.

    Raises:
        ValueError: The name is that of another format.
    """
    for endings, words in WRITERS.items():
        if has(path, endings):
            raise ValueError(
                f"{method} writes HDF5, and '{path}' has the name of what is {words}. For {method} "
                "let the name end in '.h5'."
            )
    if has(path, SAFETENSORS) and not weights_alone:
        raise ValueError(
            f"'{path}' cannot hold a model: a safetensors file has weights alone, as save_weights "
            f"writes them. {method} writes HDF5: let the name end in '.h5'."
        )


def check_named(method: str, path: Path, ending: str, reader: str) -> None:
    """Refuse to write where a file would not have its format's own ending.

    Args:
        method: What writes the file.
        path: The file.
        ending: The format's.
        reader: Who opens such files.

    Raises:
        ValueError: The name has another ending.
    """
    if not os.fspath(path).endswith(ending):
        raise ValueError(
            f"{method}: path must end in '{ending}', as {reader} expects it. Received '{path}'."
        )


def check_read(path: Path, *own: tuple[str, ...]) -> None:
    """Refuse to read where a file has the name of a format that the reader does not know.

    Args:
        path: The file.
        own: The endings of what the reader knows, keys of READERS.

    Raises:
        FormatError: The name is that of another format.
    """
    for endings, reader in READERS.items():
        if endings not in own and has(path, endings):
            raise FormatError(f"'{path}' has another layout: {reader} reads it.")
