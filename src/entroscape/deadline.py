"""When the batch system will end this job, so that a long run can save its state before."""

import os
import subprocess
from datetime import datetime

import numpy as np

SHARE = 0.95  # of its time that a job uses; the rest is for writing


def job_deadline() -> float:
    """Unix time by which this job should be done or have saved its state; inf outside Slurm, and without a limit.

    Asks `squeue` for the job's start and end: Slurm puts neither into the environment before its version 23.02.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return np.inf
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%S %e"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
        start, end = (datetime.fromisoformat(moment).timestamp() for moment in answer[:2])
    except (OSError, subprocess.SubprocessError, ValueError):  # no squeue here, no answer, or "N/A" for no limit
        return np.inf
    return start + SHARE * (end - start)
