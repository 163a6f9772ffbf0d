"""Measure how long steps of all courses of training take here; what planned runs take follows."""

from pathlib import Path

import pandas as pd
import torch

from entroscape import devices
from entroscape.config.courses import CourseSettings, SearchSettings
from entroscape.files import write_table
from entroscape.memory import keep_freed
from entroscape.training.step_cost import measure
from entroscape.training.wand_search import planned_steps

STEPS = 10


def run(courses: list[CourseSettings], search: SearchSettings, *, output: Path, device: str) -> None:
    """Write the rows of `entroscape.verbs.speed`: one for each course, and one for the search for WanD's bias.

    An update is a step of one run. The search stands beside the course whose optimizer it varies.
    """
    keep_freed()
    torch.set_num_threads(1)
    device = devices.chosen(device)
    found = measure({settings.name: settings for settings in courses}, steps=STEPS, rounds=1, device=device)
    speeds = {cost.optimizer: 1 / cost.seconds_per_step for cost in found}
    planned = [("course", settings.name, settings.course.runs * settings.course.steps) for settings in courses]
    planned.append(("search", search.base.name, planned_steps(search)))
    rows = [
        dict(job=job, jobs=1, device=device, updates=updates, updates_per_second=speeds[name], variant=name)
        for job, name, updates in planned
    ]
    write_table(pd.DataFrame(rows).assign(experiment="courses"), output)
