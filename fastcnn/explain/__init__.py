"""Looking inside a network: each method is a function of a model (and images) that returns a
`Result` with its numbers, `array`, and its picture, `plot` and `save`.
"""

from fastcnn.explain.grad_cam import grad_cam
from fastcnn.explain.guided import deconvnet, guided_backprop
from fastcnn.explain.integrated_gradients import integrated_gradients
from fastcnn.explain.occlusion import occlusion
from fastcnn.explain.result import Result
from fastcnn.explain.saliency import saliency
from fastcnn.explain.smooth_grad import smooth_grad

__all__ = [
    "Result",
    "deconvnet",
    "grad_cam",
    "guided_backprop",
    "integrated_gradients",
    "occlusion",
    "saliency",
    "smooth_grad",
]
