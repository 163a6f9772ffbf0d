"""Times of several ways to do a thing, taken in turns."""

import time
from collections.abc import Callable, Sequence

from entroscape import devices

DROPPED = 2  # first rounds, in which code is compiled and graphs are captured


def seconds(run: Callable[[], object], device: str = "cpu") -> float:
    """Time until the device has done it."""
    devices.wait(device)
    began = time.perf_counter()
    run()
    devices.wait(device)
    return time.perf_counter() - began


def best_in_turns(runs: Sequence[Callable[[], object]], rounds: int, device: str = "cpu") -> list[float]:
    """Seconds of each in its best round; so many rounds count."""
    took = [[seconds(run, device) for run in runs] for _ in range(DROPPED + rounds)]
    return [min(times) for times in zip(*took[DROPPED:], strict=True)]
