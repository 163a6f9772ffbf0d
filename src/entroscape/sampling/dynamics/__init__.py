"""Parts of molecular dynamics: its state, a round of it, what is adapted, exchanges between windows, checks."""
