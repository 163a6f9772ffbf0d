"""Random generators that follow from names alone, such as (experiment, variant, replica, role).

Equal names give equal numbers in every process and on every machine, whatever ran before; different names give
independent streams. Nothing here touches a global generator.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_SEPARATOR = "\x1f"  # the unit separator: no name contains it, so that ("a", "bc") and ("ab", "c") differ
_ENTROPY_BYTES = 16  # what PCG64 can take up


def seed_sequence(*names: str | int) -> np.random.SeedSequence:
    """Seed sequence of these names; a number and its text are the same name.

    Raises ValueError when there is no name, or one is empty or contains the unit separator.
    """
    texts = [str(name) for name in names]
    if not texts or any(not text or _SEPARATOR in text for text in texts):
        raise ValueError(f"a seed needs names that are not empty and have no control characters, but got {names!r}")
    digest = hashlib.sha256(_SEPARATOR.join(texts).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest[:_ENTROPY_BYTES], "big"))


def generator(*names: str | int) -> np.random.Generator:
    """NumPy generator of these names (PCG64, named explicitly: NumPy may change its default)."""
    return np.random.Generator(np.random.PCG64(seed_sequence(*names)))


def torch_generator(*names: str | int, device: str = "cpu") -> "torch.Generator":
    """Torch generator of these names on `device`; torch is imported only here, since it takes seconds."""
    import torch

    seed = int(seed_sequence(*names).generate_state(1, np.uint64)[0]) >> 1  # torch takes signed 64-bit seeds
    return torch.Generator(device=device).manual_seed(seed)
