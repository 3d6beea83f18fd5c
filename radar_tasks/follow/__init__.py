"""Checkpoints that appear, and the model in training: what is scored, when, and whether it was already."""
