"""Measure what a finite time step does to each integrator, where the density of states is known."""

import logging
from pathlib import Path
from typing import get_args

import pandas as pd
import torch

from entroscape.config.step_size import Integrator, StepSizeStudy
from entroscape.digest import code_digest
from entroscape.errors import SamplingError
from entroscape.files import write_table
from entroscape.landscape.step_bias import NOTHING, Bias, bias
from entroscape.provenance import stamp
from entroscape.sampling.exact_map import sample

logger = logging.getLogger(__name__)
PROBLEM = "two_blocks"


def run(study: StepSizeStudy, *, output: Path) -> None:
    """Write a table with a row per integrator and time step."""
    torch.set_num_threads(1)  # the tensors are small: a second thread would only wait for the first
    rows = [
        {"problem": PROBLEM, "integrator": integrator, "time_step": step} | _bias(study, integrator, step)._asdict()
        for integrator in get_args(Integrator)
        for step in study.time_steps
    ]
    table = pd.DataFrame(rows)
    table.attrs.update(stamp(study, code_digest(__name__), ["step size"], "cpu"))
    write_table(table, output)


def _bias(study: StepSizeStudy, integrator: Integrator, time_step: float) -> Bias:
    """What was found; nothing where the step is so large that a walker runs away."""
    try:
        found = bias(*sample(study, integrator, time_step))
    except SamplingError as mistake:
        logger.info("%s, time step %g: %s", integrator, time_step, mistake)
        return NOTHING
    logger.info(
        "%s, time step %g: kinetic temperature %.4f +- %.4f kT, S off by %.3f +- %.3f, of which noise %.3f",
        integrator,
        time_step,
        *found,
    )
    return found
