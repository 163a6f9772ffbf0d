"""Entropy landscapes of neural networks: sampling, merging and judging them."""

__version__ = "0.1.0"
