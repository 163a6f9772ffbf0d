"""When a job must save its state: what Slurm says, or never."""

import stat
from datetime import datetime

import numpy as np
import pytest

from entroscape.deadline import job_deadline


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Function that makes a `squeue` which gives some answer, within a job."""

    def answers(text: str, code: int = 0) -> None:
        program = tmp_path / "squeue"
        program.write_text(f"#!/bin/sh\n[ \"$3\" = 17 ] && echo '{text}'\nexit {code}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setenv("SLURM_JOB_ID", "17")

    return answers


def test_it_is_at_95_percent_of_the_time_of_the_job(slurm):
    slurm("2026-11-26T01:00:00 2026-11-26T02:40:00")
    assert job_deadline() == pytest.approx(datetime(2026, 11, 26, 2, 35).timestamp())


@pytest.mark.parametrize(("text", "code"), [("2026-11-26T01:00:00 N/A", 0), ("", 0), ("slurm_load_jobs error", 1)])
def test_there_is_none_without_a_limit_or_an_answer(slurm, text, code):
    slurm(text, code)
    assert job_deadline() == np.inf


def test_there_is_none_outside_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert job_deadline() == np.inf
