"""A network's ways into files and out of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastcnn.models.network import Network

if TYPE_CHECKING:
    import numpy as np

    from fastcnn.interop.pytorch.state_dict import StateDict
    from fastcnn.saving.weights import LoadReport


class StoredNetwork(Network):
    """A model, as far as files hold it."""

    def save(self, path: str | os.PathLike[str], include_optimizer: bool = True) -> None:
        """Write all that continues a training to one HDF5 file, for `fastcnn.load`.

        Args:
            path: The file; a crash leaves the old one or the new one.
            include_optimizer: Write the optimizer's state; a file without it loads uncompiled.

        Raises:
            ValueError: The file could not be loaded again, as with weights that are not finite.
            OSError: It cannot be written.
        """
        from fastcnn.saving import model_file

        with self.lock:
            model_file.save_model(self, path, include_optimizer)

    def check_save(
        self, path: str | os.PathLike[str] | None = None, weights_alone: bool = False
    ) -> None:
        """Raise ValueError where `save` could not write a file that loads again.

        Args:
            path: The file, whose name may be of another format; None for any.
            weights_alone: Whether it is `save_weights` that would write it.
        """
        from fastcnn.saving import model_file

        model_file.check_save(self, path, weights_alone)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights to a file.

        Args:
            path: The file: HDF5, which Keras 3 reads too where its name ends in ".weights.h5", or
                safetensors where it ends in ".safetensors".

        Raises:
            ValueError: Weights are not finite.
            ImportError: The package `safetensors` is not installed, and the name asks for it.
            OSError: It cannot be written.
        """
        from fastcnn.saving import model_file

        with self.lock:
            model_file.save_weights(self, path)

    def load_weights(
        self, path: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
    ) -> LoadReport:
        """Read weights, layer by layer.

        Args:
            path: A file of `save` or `save_weights`, or of Keras: `.weights.h5`, `.keras`, or the
                `.h5` of any version, weights alone or a whole model.
            skip_mismatch: Leave out layers that do not fit in place of raising.
            by_name: Pair layers of the same name, not in order.

        Returns:
            A report of what was loaded and what was skipped.

        Raises:
            FormatError: It is not such a file, is damaged, or does not fit, or nothing of it does
                (a ValueError); nothing has changed.
            OSError: It cannot be opened.
        """
        from fastcnn.saving import model_file

        with self.lock:
            return model_file.load_weights(self, path, skip_mismatch, by_name)

    def to_keras(self, path: str | os.PathLike[str]) -> None:
        """Write layers and weights to a `.keras` archive, for `keras.models.load_model`.

        It is a functional model of Keras 3 that computes what `predict` does, not compiled. What
        acts in training alone and Keras has not, auxiliary classifiers, is left out, and so is
        `preprocessing`: give it images behind those steps.

        Args:
            path: The file, whose name ends in ".keras"; a crash leaves the old one or the new one.

        Raises:
            ValueError: The name has another ending, Keras has no such layer, which the message
                names, or weights are not finite.
            OSError: It cannot be written.
        """
        from fastcnn.interop import keras_export

        with self.lock:
            keras_export.write(self, path)

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        input_layout: str = "NHWC",
        fold_batch_norm: bool = False,
    ) -> None:
        """Write what `predict` computes as an ONNX file, for ONNX Runtime and others.

        The file takes batches of any size, and its checker has passed it. Dropout and auxiliary
        classifiers, which act in training alone, are left out, and so is `preprocessing`, whose
        settings stand in the metadata with the class names: give it images behind those steps.

        Args:
            path: The file; a crash leaves the old one or the new one.
            input_layout: "NHWC" for images as fastcnn has them, or "NCHW" for the channels first,
                as PyTorch has them; of outputs that are maps as well.
            fold_batch_norm: Whether batch normalization becomes part of the weights of the layer
                before it, which then cannot be trained on as it was.

        Raises:
            ImportError: The package `onnx` is not installed.
            ValueError: ONNX has no form of a layer, which the message names, weights are not
                finite, or there are more than ONNX's files hold, 2 GiB.
            OSError: It cannot be written.
        """
        from fastcnn.interop import onnx_export

        with self.lock:
            onnx_export.write(self, path, input_layout, fold_batch_norm)

    def to_torch_state_dict(self, like: StateDict | None = None) -> dict[str, np.ndarray]:
        """Return the weights as PyTorch has them, channels first.

        Args:
            like: The state dict of the PyTorch network that shall take them, of the same
                architecture: its names, order and shapes are kept, and what the model does not
                have, such as counters. None names them after the layers, "conv1.weight", in the
                model's order.

        Returns:
            Arrays by names. `{name: torch.from_numpy(a) for name, a in arrays.items()}` is what
            `load_state_dict` takes, and `safetensors.numpy.save_file` writes them as they are.

        Raises:
            FormatError: `like` is of another architecture (a ValueError).
            ValueError: A layer is of a kind that PyTorch does not have, which the message names, or
                weights are not finite.
        """
        from fastcnn.interop.pytorch import weights

        return weights.to_torch_state_dict(self, like)
