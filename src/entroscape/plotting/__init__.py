"""Figures: data in, matplotlib Figure out. Nothing here reads files or uses the global state of pyplot."""
