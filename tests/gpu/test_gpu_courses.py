"""Courses of training on a GPU are those of a CPU, but for rounding and for the noise that WanD draws."""

import numpy as np
import pytest
import torch
from course_inputs import COURSES
from test_course import ADAMW, WAND, settings

from entroscape.config.courses import CourseSettings, SearchSettings
from entroscape.files import read_table
from entroscape.training.course import train
from entroscape.verbs import course, course_speed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
QUIET = WAND | dict(temperature=1e-12)
ANNEALED = dict(
    kind="hybrid",
    wand=QUIET,
    annealing=dict(accuracy="train", weight="described", adamw=ADAMW),
)


@pytest.mark.parametrize("optimizer", [ADAMW, ADAMW | dict(norm=6.0), QUIET, ANNEALED], ids=lambda o: o["kind"])
def test_records_are_those_of_a_cpu(optimizer):
    given = settings(optimizer)
    found, known = (list(train(given, [0, 1], device=device)) for device in ("cuda", "cpu"))
    assert len(found) == len(known) == 5
    for ours, theirs in zip(found, known, strict=True):
        for name, value in ours._asdict().items():
            np.testing.assert_allclose(value, getattr(theirs, name), rtol=2e-3, atol=1e-5, err_msg=name)


def test_runs_of_wand_differ_by_their_noise():
    *_, last = train(settings(WAND), [0, 1], device="cuda")
    assert np.isfinite(last.train_loss).all() and last.weight_norm[0] != last.weight_norm[1]


def test_the_verbs_say_which_device_it_was(tmp_path):
    given = settings(ADAMW)
    course.run(given, search=None, output=tmp_path / "course.parquet", threads=1, device="auto")
    assert read_table(tmp_path / "course.parquet").attrs["device"] == "cuda"
    known = [CourseSettings.of(COURSES, name) for name in ("add", "add_wand")]
    course_speed.run(known, SearchSettings.of(COURSES), output=tmp_path / "speed.parquet", device="cuda")
    table = read_table(tmp_path / "speed.parquet")
    assert set(table["device"]) == {"cuda"} and (table["updates_per_second"] > 0).all()
