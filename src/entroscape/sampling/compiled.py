"""The one place that configures numba: how the sampler is compiled and where the result is kept."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numba

from entroscape.digest import code_digest

CACHE_VARIABLE = "ENTROSCAPE_CACHE_DIR"

# Compiled code is kept only where this variable says, as it does for commands of entroscape. The folder is named after
# all sources of the sampler: numba itself renews its cache only when the file of the *calling* function changes, so an
# edited callee would go on running in its old form. Programs with systems of their own must not share the folder:
# what is kept for their systems cannot be read where those are not defined.
_cache = os.environ.get(CACHE_VARIABLE)
if _cache:
    _digest = code_digest("entroscape.sampling.kernel", "entroscape.sampling.network")
    numba.config.CACHE_DIR = str(Path(_cache).resolve() / f"numba-{_digest}")  # type: ignore[attr-defined]

# `_nrt=False` leaves out the counting of references to arrays: atomic operations at every look at a field of a system,
# two thirds of the time of a move. All arrays are owned by the Python caller, which outlives the compiled call; code
# compiled so cannot allocate, and numba says so if it tries.
njit: Any = partial(numba.njit, cache=bool(_cache), nogil=True, _nrt=False)
# Systems are tuples of many arrays; their operations are merged into the loop that uses them.
njit_inlined: Any = partial(njit, inline="always")
