"""The methods and their choices by the names that a command line has for them."""

METHODS = (
    "filters",
    "feature-maps",
    "film-strip",
    "top-patches",
    "receptive-fields",
    "saliency",
    "smooth-grad",
    "integrated-gradients",
    "guided-backprop",
    "deconvnet",
    "grad-cam",
    "occlusion",
    "class-image",
    "inversion",
    "embedding",
    "retrieval",
    "confusions",
    "decision-boundary",
    "fgsm",
    "pgd",
    "robustness",
    "fooling-images",
    "evolved-images",
    "linear-weakness",
)

PROJECTIONS = ("pca", "tsne")
"""Of an embedding."""
DISTANCES = ("cosine", "euclidean")
"""Of features."""
