"""Measure how long steps of all courses of training take here, and in how much memory; planned runs follow."""

from pathlib import Path

import pandas as pd
import torch

from entroscape import devices
from entroscape.config.courses import CourseSettings, SearchSettings
from entroscape.files import write_table
from entroscape.memory import keep_freed, peak_megabytes
from entroscape.training.step_cost import measure
from entroscape.training.wand_search import planned_steps

STEPS = 10
ROW = 100  # bytes of a row of a course's table, at most


def run(courses: list[CourseSettings], search: SearchSettings, *, output: Path, device: str) -> None:
    """Write the rows of `entroscape.verbs.speed`: one for each course, and one for the search for WanD's bias.

    An update is a step of one run. The search stands beside the course whose optimizer it varies.
    """
    keep_freed()
    torch.set_num_threads(1)
    device = devices.chosen(device)
    found = measure({settings.name: settings for settings in courses}, steps=STEPS, rounds=1, device=device)
    speeds = {cost.optimizer: 1 / cost.seconds_per_step for cost in found}
    planned = [
        ("course", settings.name, settings.course.runs * settings.course.steps, settings.record_every)
        for settings in courses
    ]
    steps = planned_steps(search)
    planned.append(("search", search.base.name, steps, steps))
    common = dict(jobs=1, device=device, memory_mb=peak_megabytes())
    rows = [
        dict(
            job=job, updates=updates, updates_per_second=speeds[name], variant=name, disk_mb=updates / every * ROW / 1e6
        )
        | common
        for job, name, updates, every in planned
    ]
    write_table(pd.DataFrame(rows).assign(experiment="courses"), output)
