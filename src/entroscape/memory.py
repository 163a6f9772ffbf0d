"""How much memory the process takes, and how it gives it back."""

import ctypes
import sys

# Parameters of glibc's mallopt, from its header malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1
_OLD_LARGEST = 2**25  # of the second before glibc 2.35


def keep_freed() -> None:
    """Let glibc keep large blocks that are freed for the next ones of their size.

    By default it gives them back, and the system hands out and clears every page anew at each step: 10 % of the time of
    a step of molecular dynamics on images. Nothing changes where there is another allocator.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST) or mallopt(_MMAP_THRESHOLD, _OLD_LARGEST)
        mallopt(_TRIM_THRESHOLD, _LARGEST)


def peak_megabytes() -> float:
    """The most memory that this process has held at a time."""
    import resource  # which Windows lacks

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
