"""Where the compiled loops of networks and maps are kept; the sampler of `entroscape.sampling.compiled` has its own."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numba
import torch

# As in entroscape.sampling.compiled: compiled code is kept where this variable says. Numba sees edits of the file of
# the compiled function alone, so each file of kernels must hold all that they call.
_cache = os.environ.get("ENTROSCAPE_CACHE_DIR")
if _cache and not numba.config.CACHE_DIR:  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(Path(_cache).resolve() / "numba-models")  # type: ignore[attr-defined]

REAL = (torch.float32, torch.float64)
COMPILED = True  # whether compiled loops take the place of torch on CPU; tests compare both ways

# No counting of references, and no lock: threads may call at the same time.
njit: Any = partial(numba.njit, cache=bool(_cache), nogil=True, _nrt=False, error_model="numpy")
# Sums may be taken in any order, as BLAS does; nan and infinities are kept.
njit_reordered: Any = partial(njit, fastmath={"reassoc", "contract", "nsz"})


def compiled(values: torch.Tensor) -> bool:
    """Whether compiled loops take these values."""
    return COMPILED and values.device.type == "cpu" and values.dtype in REAL
