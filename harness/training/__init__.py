"""Training: data splits, the schedule, the training loop, metrics and checkpoints."""
