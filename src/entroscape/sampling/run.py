"""Drive a sampler to its end: threads, progress, checkpoints, interruption."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from entroscape.errors import EntroscapeError
from entroscape.sampling import checkpoint
from entroscape.sampling.workers import Workers


class Interrupted(EntroscapeError):
    """The run was asked to stop (SIGTERM or SIGINT), or its time is up; its checkpoint is on disk."""


def drive(
    step: Callable,
    problem: Any,
    state: Any,
    *,
    steps: int,
    threads: int,
    checkpoint_path: Path,
    checkpoint_seconds: float,
    identity: dict,
    deadline: float = np.inf,
) -> Iterator[tuple[int, Any]]:
    """Call `step(problem, state, workers)` until `steps` steps are done; yield (steps done, info) after each.

    Parameters
    ----------
    state
        Its field `steps` counts the steps done; changed in place, and final when the iteration ends.
    threads
        Threads that `step` may use; with molecular dynamics their number changes the rounding, and so the walk.
    checkpoint_path, checkpoint_seconds, identity
        Where and how often the state is saved, and what the file is stamped with. It is also saved on SIGTERM.
    deadline
        Unix time in seconds at which to save and stop.

    Raises
    ------
    Interrupted
        After SIGTERM or SIGINT, or at the deadline, once the checkpoint is written.
    """
    saved = time.monotonic()
    with Workers(threads) as workers, _signals() as received:
        while state.steps < steps:
            info = step(problem, state, workers)
            if time.time() > deadline:
                received.append("the time limit of this job")
            if received or time.monotonic() - saved > checkpoint_seconds:
                checkpoint.save(checkpoint_path, state, identity)
                saved = time.monotonic()
            if received and state.steps < steps:
                raise Interrupted(f"stopped by {received[0]}; {checkpoint_path} holds the state, run again to continue")
            yield state.steps, info


@contextmanager
def _signals() -> Iterator[list[str]]:
    """Collect the names of termination signals instead of dying of them."""
    received: list[str] = []

    def note(number: int, _frame: object) -> None:
        received.append(signal.Signals(number).name)

    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
