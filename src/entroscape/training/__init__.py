"""Trained baselines, all runs of a batch as one computation."""
