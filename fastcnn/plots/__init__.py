"""Pictures of a training: its curves, the confusion matrix, the images taken for others.

Each function returns the figure and its axes, and writes the file named by `save=`.
"""

from fastcnn.plots.confusion import confusion_matrix
from fastcnn.plots.figure import write
from fastcnn.plots.history import curves
from fastcnn.plots.image_grid import images, mistakes, surest_mistakes

__all__ = ["confusion_matrix", "curves", "images", "mistakes", "surest_mistakes", "write"]
