"""The methods by the names that a command line has for them."""

METHODS = (
    "saliency",
    "smooth-grad",
    "integrated-gradients",
    "guided-backprop",
    "deconvnet",
    "grad-cam",
    "occlusion",
)
