"""What a step of AdamW and one of WanD take, measured in turns (arXiv:2505.11411, claim on WanD's cost)."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch

from entroscape import devices
from entroscape.config.courses import CourseSettings
from entroscape.training.course import Network, Task, forward, updates

ANY_BIAS = 1000.0  # where it is searched for: the time of a step does not depend on it


class Cost(NamedTuple):
    """Seconds per step of one run of an optimizer in one round."""

    optimizer: str
    round: int
    seconds_per_step: float


def measure(courses: dict[str, CourseSettings], *, steps: int, rounds: int, device: str = "cpu") -> list[Cost]:
    """So many steps of each course in turns, for so many rounds, going on from each other; a first one is dropped.

    On a CPU, one run of each; on a GPU, which does all runs at once, all of them.
    """
    runs = {name: list(range(course.course.runs if device == "cuda" else 1)) for name, course in courses.items()}
    going = {name: steps_of(settings, runs[name], device) for name, settings in courses.items()}
    found = []
    for number in range(rounds + 1):
        for name, course in going.items():
            began = time.perf_counter()
            for _ in islice(course, steps):
                pass
            devices.wait(device)
            found.append(Cost(name, number - 1, (time.perf_counter() - began) / steps / len(runs[name])))
    return [cost for cost in found if cost.round >= 0]


def steps_of(settings: CourseSettings, runs: list[int], device: str) -> Iterator[None]:
    """Steps of these runs, without end."""
    task, network = Task.of(settings, runs, device), Network.of(settings)
    theta = network.starts(settings, runs, device)
    update, _ = updates(settings, theta, ANY_BIAS, runs)
    alpha = torch.full((len(runs),), torch.nan, device=device)
    while True:
        theta = update(theta, forward(network, task, theta), alpha)
        yield
