"""RADAR inside the evaluation harnesses: data, images, checkpoints, scoring, results and reports."""
