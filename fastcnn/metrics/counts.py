"""Precision, recall and F1."""

from __future__ import annotations

from fastcnn.metrics.per_label import Counted, Counts, ratio


class Precision(Counted):
    """The share of the answers "yes" that are true.

    Args:
        average: "macro" (the mean of the labels' values), "micro" (one value of all answers
            together), None (a value a label, "name_0" and so on in the logs) or "auto" (micro where
            each output answers a question of its own, else macro).
        threshold: The probability above which the answer is yes; None takes the class with the
            highest output, or 0.5 (0 with a hinge) where each output answers a question.
        name: What it is called in the logs; None takes the class's.
        weighted: Whether the examples' weights (sample_weight times class_weight) count.

    Raises:
        ValueError: `average` is none of these, or a number is out of its range.
        TypeError: The threshold is no number.
    """

    name = "precision"

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        return ratio(hits, said)


class Recall(Counted):
    """The share of what is true that is answered "yes".

    With average=None, of each class the share of its examples that is right.

    Args:
        average: "macro" (the mean of the labels' values), "micro" (one value of all answers
            together), None (a value a label, "name_0" and so on in the logs) or "auto" (micro where
            each output answers a question of its own, else macro).
        threshold: The probability above which the answer is yes; None takes the class with the
            highest output, or 0.5 (0 with a hinge) where each output answers a question.
        name: What it is called in the logs; None takes the class's.
        weighted: Whether the examples' weights (sample_weight times class_weight) count.

    Raises:
        ValueError: `average` is none of these, or a number is out of its range.
        TypeError: The threshold is no number.
    """

    name = "recall"

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        return ratio(hits, true)


class F1Score(Counted):
    """The harmonic mean of precision and recall.

    By default the mean of the labels' ones, where Keras gives one a label (average=None).

    Args:
        average: "macro" (the mean of the labels' values), "micro" (one value of all answers
            together), None (a value a label, "name_0" and so on in the logs) or "auto" (micro where
            each output answers a question of its own, else macro).
        threshold: The probability above which the answer is yes; None takes the class with the
            highest output, or 0.5 (0 with a hinge) where each output answers a question.
        name: What it is called in the logs; None takes the class's.
        weighted: Whether the examples' weights (sample_weight times class_weight) count.

    Raises:
        ValueError: `average` is none of these, or a number is out of its range.
        TypeError: The threshold is no number.
    """

    name = "f1_score"

    def __init__(
        self,
        average: str | None = "macro",
        threshold: float | None = None,
        name: str | None = None,
        weighted: bool = False,
    ) -> None:
        super().__init__(average, threshold, name, weighted)

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        return ratio(2 * hits, said + true)
