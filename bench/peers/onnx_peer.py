"""ONNX Runtime as a competitor, for inference: the PyTorch nets, exported and optimized."""

from __future__ import annotations

import io
import os
import platform
import time
import warnings
from typing import Any

STARTED = time.perf_counter()

import onnxruntime  # noqa: E402
import protocol  # noqa: E402
import torch  # noqa: E402
import torch_nets  # noqa: E402
from torch_peer import images  # noqa: E402

VARIANTS = ("run", "io binding")


def exported(net: str, batch: int) -> bytes:
    """The net with a softmax end as an ONNX file with a fixed batch size."""
    model = torch.nn.Sequential(torch_nets.NETS[net](), torch.nn.Softmax(dim=1)).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (images(net, batch),), file, dynamo=False, input_names=["images"])
    return file.getvalue()


class OnnxRuntime:
    """See protocol.Competitor."""

    def __init__(self) -> None:
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = int(os.environ["FASTCNN_RACE_THREADS"])
        self.options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

    def describe(self) -> dict[str, Any]:
        versions = {
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "exported by torch": torch.__version__,
        }
        return {"versions": versions, "variants": {"train": (), "infer": VARIANTS}}

    def step(self, task: protocol.Task) -> protocol.Step:
        session = onnxruntime.InferenceSession(
            exported(task.net, task.batch), self.options, providers=["CPUExecutionProvider"]
        )
        x = images(task.net, task.batch).numpy()
        if task.variant == "run":
            return lambda: session.run(None, {"images": x})
        binding = session.io_binding()
        binding.bind_cpu_input("images", x)
        binding.bind_output(session.get_outputs()[0].name)
        return lambda: session.run_with_iobinding(binding)


if __name__ == "__main__":
    protocol.main(OnnxRuntime, STARTED)
