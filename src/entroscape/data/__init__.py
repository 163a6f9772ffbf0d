"""Data sets: one module per kind, each turning its section of the configuration into arrays."""
