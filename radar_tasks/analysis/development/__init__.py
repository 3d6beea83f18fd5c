"""How abilities develop over the checkpoints of a training run."""
