"""What the ending of a file's name says of its format, where that is not the one at hand."""

from __future__ import annotations

import os

from fastcnn.hdf5.errors import FormatError

Path = str | os.PathLike[str]

READERS = {
    (".pth", ".pt", ".th"): "fastcnn.load_torch_weights(model, path)",
    (".caffemodel",): "fastcnn.load_caffe_weights(model, path)",
    (".onnx",): "fastcnn.from_onnx(path)",
}
"""What reads the files of other frameworks."""

WRITERS = {
    (".keras",): "an archive of Keras. model.to_keras(path) writes one",
    (".onnx",): "an ONNX file. model.to_onnx(path) writes one",
    (".pth", ".pt", ".th"): "a file of PyTorch, which save_weights writes none of but .safetensors",
    (".caffemodel",): "a file of Caffe, which fastcnn does not write",
    (".npz", ".npy", ".zip", ".json", ".pkl", ".pickle"): "of another format",
}
"""What a file of that name is expected to be, and who writes it."""

SAFETENSORS = ".safetensors"


def check_written(method: str, path: Path, weights_alone: bool = False) -> None:
    """Refuse to write where a file would have the name of another format.

    Args:
        method: What writes the file.
        path: The file.
        weights_alone: Whether weights are written without the model, as safetensors can.

    Raises:
        ValueError: The name is that of another format.
    """
    name = os.fspath(path).lower()
    for endings, words in WRITERS.items():
        if name.endswith(endings):
            raise ValueError(
                f"{method} writes HDF5, and '{path}' has the name of what is {words}. For {method} "
                "let the name end in '.h5'."
            )
    if name.endswith(SAFETENSORS) and not weights_alone:
        raise ValueError(
            f"'{path}' cannot hold a model: a safetensors file has weights alone, as save_weights "
            f"writes them. {method} writes HDF5: let the name end in '.h5'."
        )


def check_read(path: Path) -> None:
    """Refuse to read where a file has the name of another framework's format.

    Args:
        path: The file.

    Raises:
        FormatError: The name is that of such a format.
    """
    for endings, reader in READERS.items():
        if os.fspath(path).lower().endswith(endings):
            raise FormatError(f"'{path}' has another layout: {reader} reads it.")
