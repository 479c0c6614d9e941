"""The name that optimizers, a model's numbers and files give to the average of the weights."""

AVERAGE = "average"
"""The slot that holds averages: of the weights, and behind them of the moving statistics."""
