"""Sample one landscape once: one independent run (replica) of one variant, by Wang-Landau Monte Carlo."""

import hashlib
import importlib
import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from entroscape.config.settings import SampleSettings
from entroscape.data.dataset import TaskData
from entroscape.digest import code_digest
from entroscape.errors import FileError
from entroscape.files import read_bytes, read_dataset, write_dataset
from entroscape.grid import Grid
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.random import generator
from entroscape.sampling import checkpoint
from entroscape.sampling.network import NetworkSystem, build_network
from entroscape.sampling.run import drive

logger = logging.getLogger(__name__)


def procedure_module(procedure: str) -> str:
    """Name of the module of a procedure; imported on use, so that a change to one does not touch runs of the other."""
    return f"entroscape.sampling.{procedure}"


def run(
    settings: SampleSettings,
    *,
    replica: int,
    data: Path,
    seeds: Path,
    output: Path,
    checkpoint_path: Path,
    threads: int,
) -> None:
    """Sample, going on from `checkpoint_path` if it is there, and write what the run leaves behind to `output`.

    The result does not depend on `threads` or on interruptions. The checkpoint is deleted at the end.
    """
    module = procedure_module(settings.procedure.procedure)
    procedure = importlib.import_module(module)
    code = code_digest(__name__, module)
    identity = {
        "settings": settings.model_dump(mode="json"),
        "replica": replica,
        "code": code,
        "inputs": {path.name: hashlib.sha256(read_bytes(path)).hexdigest()[:16] for path in (data, seeds)},
    }
    task = TaskData.from_dataset(read_dataset(data))
    grid = Grid.of(settings.observables.ln_train_loss, len(task.y_test))
    problem = procedure.make_problem(_network_builder(settings, task, grid), grid, settings.procedure)
    if checkpoint_path.exists():
        state = checkpoint.load(checkpoint_path, procedure.State, identity)
        logger.info("going on from %s, %d of %d steps done", checkpoint_path, state.steps, problem.steps)
    else:
        names = settings.experiment, settings.variant, replica
        starts = _starts(settings, problem, seeds, names)
        state = procedure.init(problem, starts, lambda role: generator(*names, role))
    steps = drive(
        procedure.step,
        problem,
        state,
        steps=problem.steps,
        threads=threads,
        checkpoint_path=checkpoint_path,
        checkpoint_seconds=settings.procedure.checkpoint_seconds,
        identity=identity,
    )
    moves = problem.moves_per_step
    for _ in logged(
        steps, problem.steps * moves, lambda item: item[0] * moves, logger, "moves", lambda item: f"; {item[1]}"
    ):
        pass
    sampled = procedure.to_dataset(problem, state)
    seeds_used = [settings.experiment, settings.variant, str(replica)]
    attributes = stamp(settings, code, seeds_used, "cpu", **sampled.attrs, replica=replica)
    write_dataset(sampled.assign_attrs(attributes), output)
    checkpoint_path.unlink(missing_ok=True)


def _network_builder(settings: SampleSettings, task: TaskData, grid: Grid) -> Callable[[], NetworkSystem]:
    """Maker of independent systems of the variant's network, all parameters in the box +- box_factor / sqrt(width)."""
    network = settings.network
    sizes = [task.x_train.shape[1], *[network.width] * network.depth, task.classes]
    parameters = sum(inputs * outputs + outputs for inputs, outputs in itertools.pairwise(sizes))
    half_width = np.full(parameters, network.box_factor / np.sqrt(network.width))
    return lambda: build_network(sizes, task, half_width, grid)


def _starts(settings: SampleSettings, problem: Any, seeds: Path, names: tuple) -> np.ndarray:
    """Where walkers may begin, [states, P].

    The published procedure starts at random points of the box, of which many lie off the axis. A window at low loss
    cannot wait for a random walker to come by: there, states kept from training are offered too. Raises FileError if
    those are not of this network.
    """
    half_width = problem.systems[0].half_width
    random = generator(*names, "random starts").uniform(-half_width, half_width, (200, len(half_width)))
    if settings.procedure.procedure == "cycles":
        return random
    trained = read_dataset(seeds)
    if "theta" not in trained or trained["theta"].shape[1:] != half_width.shape:
        raise FileError(
            f"{seeds} holds no states of a network of {len(half_width)} parameters: delete it and run `train` for "
            f"{settings.variant} again"
        )
    return np.concatenate([trained["theta"].to_numpy(), random])
