"""Training on modular arithmetic at the published size: milliseconds per full-batch step of a run."""

from collections.abc import Callable

import torch
from rich.table import Table
from torch.nn.functional import cross_entropy
from torch.nn.utils import vector_to_parameters

from benchmarks.plain_transformer import PlainTransformer
from benchmarks.timing import best_in_turns
from entroscape.config.courses import AdamW, Course, CourseSettings, Entropy, Heads, WanD
from entroscape.config.sampler import Axis
from entroscape.training.course import Network, Task
from entroscape.training.step_cost import steps_of
from entroscape.training.wand import WanD as WanDOptimizer

MODULUS, D_MODEL, HEADS, MLP_RATIO = 67, 128, 4, 4
ADAMW = AdamW(kind="adamw", learning_rate=3e-3, weight_decay=1.0, betas=(0.9, 0.98), norm=None)
WAND = WanD(kind="wand", learning_rate=3e-3, temperature=0.5, friction=0.5, onset=-8.0)
BIAS = 500.0
RUNS = {"cpu": 1, "cuda": 10}  # at once, as courses are trained on each device


def settings(optimizer: AdamW | WanD, runs: int = 1) -> CourseSettings:
    course = Course(
        operation="add", train_fraction=0.5, d_model=D_MODEL, optimizer=optimizer, runs=runs, steps=1_000_000
    )
    axis = Axis(min=-12.0, max=3.0, bin_width=0.1)
    entropy = Entropy(bias=BIAS, factor=0.1, factor_steps=1000, deposit_width=1.0, axis=axis)
    network = Heads(heads=HEADS, mlp_ratio=MLP_RATIO)
    return CourseSettings(
        name="benchmark", course=course, modulus=MODULUS, seed=1, network=network, entropy=entropy, record_every=1,
        stop=None,
    )  # fmt: skip


def batched(optimizer: AdamW | WanD, device: str) -> Callable[[], None]:
    """A step of ours, of all runs that the device has at once."""
    steps = steps_of(settings(optimizer, RUNS[device]), list(range(RUNS[device])), device)
    return lambda: next(steps)


def plain(optimizer: AdamW | WanD, device: str) -> Callable[[], None]:
    """A step of a plain module with three positions and an optimizer of torch's kind, one run."""
    given = settings(optimizer)
    task, network = Task.of(given, [0], device), Network.of(given)
    module = PlainTransformer(MODULUS + 1, D_MODEL, HEADS, MLP_RATIO * D_MODEL).to(device)
    vector_to_parameters(network.starts(given, [0], device)[0], module.parameters())
    chosen: torch.optim.Optimizer
    if optimizer.kind == "adamw":
        chosen = torch.optim.AdamW(module.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=1.0)
    else:
        chosen = WanDOptimizer(module.parameters(), lr=3e-3, bias=BIAS)

    def closure() -> torch.Tensor:
        chosen.zero_grad()
        loss = cross_entropy(module(task.x_train[0]), task.y_train[0])
        loss.backward()
        return loss

    return lambda: chosen.step(closure)


def table(rounds: int = 10) -> Table:
    columns = ("device", "optimizer", "runs at once", "ms per step", "plain module, ms per step", "ratio")
    result, before = Table(*columns, title=__doc__), torch.get_num_threads()
    torch.set_num_threads(1)
    for device in ("cpu", *["cuda"] * torch.cuda.is_available()):
        for kind in (ADAMW, WAND):
            best = best_in_turns([batched(kind, device), plain(kind, device)], rounds, device)
            ours, others = 1000 * best[0] / RUNS[device], 1000 * best[1]
            numbers = f"{ours:.2f}", f"{others:.2f}", f"{others / ours:.1f}"
            result.add_row(device, kind.kind, str(RUNS[device]), *numbers)
    torch.set_num_threads(before)
    return result
