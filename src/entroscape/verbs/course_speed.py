"""Measure how long steps of all courses of training take here; what planned runs take follows."""

from pathlib import Path

import pandas as pd
import torch

from entroscape.config.courses import CourseSettings
from entroscape.files import write_table
from entroscape.memory import keep_freed
from entroscape.training.step_cost import measure

STEPS = 10


def run(courses: list[CourseSettings], *, output: Path) -> None:
    """Write the rows of `entroscape.verbs.speed`, one for each course; an update is a step of one of its runs."""
    keep_freed()
    torch.set_num_threads(1)
    found = measure({settings.name: settings for settings in courses}, steps=STEPS, rounds=1)
    seconds = {cost.optimizer: cost.seconds_per_step for cost in found}
    rows = [
        dict(
            job="course",
            jobs=1,
            device="cpu",
            updates=settings.course.runs * settings.course.steps,
            updates_per_second=1 / seconds[settings.name],
            experiment="courses",
            variant=settings.name,
        )
        for settings in courses
    ]
    write_table(pd.DataFrame(rows), output)
