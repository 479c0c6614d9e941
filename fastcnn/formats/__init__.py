"""Files: saved models, checkpoints and weights."""
