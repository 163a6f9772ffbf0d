"""Sample one landscape once: one independent run (replica) of one variant."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entroscape import devices
from entroscape.config.settings import SampleSettings
from entroscape.data.dataset import TaskData
from entroscape.deadline import job_deadline
from entroscape.errors import FileError, UnusableFile
from entroscape.files import read_bytes, read_dataset, set_aside, write_dataset
from entroscape.memory import keep_freed
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.random import generator
from entroscape.sampling import checkpoint
from entroscape.sampling.modules import imported
from entroscape.sampling.run import drive
from entroscape.verbs.code import code_of

logger = logging.getLogger(__name__)


def run(
    settings: SampleSettings,
    *,
    replica: int,
    data: Path,
    seeds: Path,
    output: Path,
    checkpoint_path: Path,
    threads: int,
    device: str = "cpu",
) -> None:
    """Sample, going on from `checkpoint_path` if it is there, and write what the run leaves behind to `output`.

    `device`: cpu, cuda or auto. Interruptions do not change the result on a CPU. Neither does the number of `threads`,
    except that molecular dynamics rounds otherwise when walkers are shared differently. The checkpoint is deleted at
    the end; one that is damaged or belongs to another run is set aside, and the run starts afresh. Raises Interrupted
    when the batch system is about to end this job, or on SIGTERM, with the checkpoint written.
    """
    keep_freed()
    torch.set_num_threads(1)  # threads share the walkers, not the tensors
    device = chosen_device(device, settings)
    procedure, task_module = imported(settings.procedure.procedure, settings.network.kind)
    code = code_of("sample", settings)
    identity = {
        "settings": settings.model_dump(mode="json"),
        "replica": replica,
        "code": code,
        "device": device,
        "inputs": {path.name: hashlib.sha256(read_bytes(path)).hexdigest()[:16] for path in (data, seeds)},
    }
    problem = task_module.make_problem(settings, read_task(settings, data), device)
    state = _saved(checkpoint_path, procedure.State, identity, device)
    if state is not None:
        logger.info("going on from %s, %d of %d steps done", checkpoint_path, state.steps, problem.steps)
    else:
        names = settings.experiment, settings.variant, settings.seed, replica
        random = generator(*names, "random starts")
        states, kinds = _starts(settings, problem, seeds, task_module.random_starts(settings, problem, random))
        state = procedure.init(problem, states, lambda role: generator(*names, role), kinds, replica)
    steps = drive(
        procedure.step,
        problem,
        state,
        steps=problem.steps,
        threads=threads,
        checkpoint_path=checkpoint_path,
        checkpoint_seconds=settings.procedure.checkpoint_seconds,
        identity=identity,
        deadline=job_deadline(),
    )
    moves = problem.moves_per_step
    for _ in logged(
        steps, problem.steps * moves, lambda item: item[0] * moves, logger, "moves", lambda item: f"; {item[1]}"
    ):
        pass
    sampled = procedure.to_dataset(problem, state)
    seeds_used = [settings.experiment, settings.variant, str(settings.seed), str(replica)]
    attributes = stamp(settings, code, seeds_used, device, **sampled.attrs, replica=replica)
    write_dataset(sampled.assign_attrs(attributes), output)
    checkpoint_path.unlink(missing_ok=True)


def _saved(path: Path, state_class: type, identity: dict, device: str) -> Any:
    """The state to go on from, None if there is none; one that cannot be continued is set aside."""
    if not path.exists():
        return None
    try:
        return checkpoint.load(path, state_class, identity, device)
    except UnusableFile as problem:
        logger.warning("checkpoint %s %s: it is kept as %s, starting afresh", path, problem.reason, set_aside(path))
        return None


def chosen_device(wanted: str, settings: SampleSettings) -> str:
    """The device itself for "auto", "cpu" or "cuda"; Monte Carlo has only the CPU. Raises ConfigError without a GPU."""
    return devices.chosen(wanted) if settings.procedure.procedure == "molecular_dynamics" else "cpu"


def read_task(settings: SampleSettings, data: Path) -> TaskData:
    """The points of this variant; raises FileError where a number is not finite."""
    task = TaskData.from_dataset(read_dataset(data))
    for name in ("x_train", "y_train", "x_test", "y_test"):
        wrong = int((~np.isfinite(getattr(task, name))).sum())
        if wrong:
            raise FileError(
                f"{data} holds {wrong} values of {name} that are not finite: look at the source of the data, then "
                f"delete the file and run `prepare` for {settings.experiment} again"
            )
    return task if settings.train_points is None else task.first(settings.train_points)


def _starts(settings: SampleSettings, problem: Any, seeds: Path, random: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where walkers may begin, [states, P], and of what kind each state is, str[states].

    The states that `train` kept and the random points; the published procedure starts at random points alone. Raises
    UnusableFile if the states are not of this network. Those that do not say of what kind they are count as given.
    """
    made = read_dataset(seeds)
    expected = problem.parameters
    if "theta" not in made or made["theta"].shape[1:] != (expected,):
        reason = f"holds no states of a network of {expected} parameters"
        raise UnusableFile(seeds, reason, f"run `train` for {settings.variant} again")
    anywhere = np.full(len(random), "random")
    if settings.procedure.procedure == "cycles":
        return random, anywhere
    known = made["start_kind"].to_numpy().astype(str) if "start_kind" in made else np.full(made.sizes["state"], "given")
    kinds = np.concatenate([known, anywhere])
    return np.concatenate([made["theta"].to_numpy(), random.astype(made["theta"].dtype)]), kinds
