"""Looking inside a network: each method is a function of a model (and images) that returns a
`Result` with its numbers, `array`, and its picture, `plot` and `save`.
"""

from fastcnn.explain.attacks import fgsm, pgd
from fastcnn.explain.boundary_recorder import BoundaryEpochs, BoundaryRecorder
from fastcnn.explain.class_image import class_image
from fastcnn.explain.confusions import confusions
from fastcnn.explain.decision_boundary import decision_boundary
from fastcnn.explain.embedding import embedding
from fastcnn.explain.evolved_images import evolved_images
from fastcnn.explain.feature_maps import feature_maps, film_strip
from fastcnn.explain.filters import filters
from fastcnn.explain.fooling_images import fooling_images
from fastcnn.explain.grad_cam import grad_cam
from fastcnn.explain.guided import deconvnet, guided_backprop
from fastcnn.explain.integrated_gradients import integrated_gradients
from fastcnn.explain.inversion import inversion
from fastcnn.explain.linear_weakness import linear_weakness
from fastcnn.explain.occlusion import occlusion
from fastcnn.explain.receptive_fields import receptive_fields
from fastcnn.explain.result import Result
from fastcnn.explain.retrieval import retrieval
from fastcnn.explain.robustness import robustness
from fastcnn.explain.saliency import saliency
from fastcnn.explain.smooth_grad import smooth_grad
from fastcnn.explain.top_patches import top_patches

__all__ = [
    "BoundaryEpochs",
    "BoundaryRecorder",
    "Result",
    "class_image",
    "confusions",
    "decision_boundary",
    "deconvnet",
    "embedding",
    "evolved_images",
    "feature_maps",
    "fgsm",
    "film_strip",
    "filters",
    "fooling_images",
    "grad_cam",
    "guided_backprop",
    "integrated_gradients",
    "inversion",
    "linear_weakness",
    "occlusion",
    "pgd",
    "receptive_fields",
    "retrieval",
    "robustness",
    "saliency",
    "smooth_grad",
    "top_patches",
]
