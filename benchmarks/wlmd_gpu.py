"""Wang-Landau molecular dynamics of the published transformer on a GPU: walker-steps per second of captured graphs."""

from typing import NamedTuple

import torch
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import best_in_turns, seconds
from benchmarks.wlmd_speed import X_AXIS, Batched, Subject, grid_of, plain_of, prompts, settings

WALKERS = (8, 32, 64, 128)
STEPS_PER_ROUND = 50
SIDE = 4096  # of the matrices whose product tells what the device can do


class Speed(NamedTuple):
    """Seconds that a step of a walker takes, and that its products alone would take."""

    batched: float
    plain: float
    products: float


def measure(subject: Subject, walkers: int, device: str, *, rounds: int = 5, side: int = SIDE) -> Speed:
    """The best of so many rounds of each, in turns."""
    options = settings(walkers, (X_AXIS.min, X_AXIS.max), STEPS_PER_ROUND)
    batched = Batched(subject, grid_of(20), options, device=device)
    plain = plain_of(batched, walkers=1)
    noise = torch.randn(1, batched.problem.parameters, device=device)
    best = best_in_turns([lambda: batched.run(1), lambda: plain.step(noise)], rounds, device)
    steps = batched.problem.moves_per_step
    return Speed(best[0] / steps, best[1], operations(batched) / walkers / product_speed(device, side))


def operations(batched: Batched) -> int:
    """Floating-point operations of all products in coordinates and gradient of all walkers, 2 per multiply-add.

    Mixing by attention (`entroscape.models.attention`), a tenth more at the published size, is not counted.
    """
    theta = batched.state.theta.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        at = batched.problem.observe(theta)
        torch.autograd.grad((at.x + at.y).sum(), theta)
    return int(counter.get_total_flops())


def product_speed(device: str, side: int = SIDE) -> float:
    """Operations per second of a product of two large matrices in the same precision."""
    left, right = torch.randn(2, side, side, device=device)
    return 2 * side**3 / min(seconds(lambda: left @ right, device) for _ in range(10))


def table() -> Table:
    columns = ("walkers", "walker-steps/s", "plain loop", "ratio", "share that products would take at full speed")
    result = Table(*columns, title=__doc__)
    if not torch.cuda.is_available():
        result.caption = "not measured: there is no GPU here"
        return result
    result.caption = torch.cuda.get_device_name()
    for walkers in WALKERS:
        took = measure(prompts(67, 128), walkers, "cuda")
        ratio, share = took.plain / took.batched, took.products / took.batched
        result.add_row(
            str(walkers), f"{1 / took.batched:,.0f}", f"{1 / took.plain:,.1f}", f"{ratio:.0f}", f"{share:.0%}"
        )
    return result
