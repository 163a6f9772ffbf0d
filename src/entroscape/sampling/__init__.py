"""Wang-Landau samplers: a compiled kernel, the systems it drives, and the procedures that use it."""
