"""Where walkers may begin, and errors that say what to do when they go where no walker can be."""

import numpy as np
import torch
from torch import Tensor

from entroscape.errors import SamplingError
from entroscape.sampling.dynamics.heat import highest_temperature
from entroscape.sampling.dynamics.state import Problem, State
from entroscape.sampling.starts import NO_STATES, deal

RUNAWAY_TEMPERATURE = 20.0  # kinetic temperature of a walker, in kT, at which it has run away; less by chance ...
NEVER = 1e-25  # ... for all but a few parameters: there it is what a walker exceeds in no run, with this probability


def check_walkers(problem: Problem, state: State) -> None:
    """Stop when a walker has gone where no walker can be."""
    settings = problem.settings
    heat, runaway = state.velocity.double().square().mean(1), runaway_temperature(problem.parameters)
    wrong = ~torch.isfinite(state.coordinates[:2]).all(0) | ~(heat < runaway) | ~torch.isfinite(state.theta).all(1)
    if not wrong.any():
        return
    w = int(wrong.nonzero()[0, 0])
    window, walker = divmod(w, settings.walkers)
    lower, upper = settings.windows[window]
    where = f"walker {walker} of the window ln L in [{lower:g}, {upper:g}]"
    steps = (state.steps + 1) * settings.steps_per_round
    if not heat[w] >= runaway:  # slow, or nan: then the velocity has it from a force
        finite = torch.isfinite(state.coordinates[:2, w]).tolist()
        wrong_ones = [name for name, fine in zip(problem.grid.dimensions, finite, strict=True) if not fine]
        raise SamplingError(
            f"{where} has values of {' and '.join(wrong_ones) or 'parameters'} that are not finite after {steps} steps "
            f"of {float(state.time_step[window]):.3g}: look for such values in the data, or use precision: float64 or "
            "a lower time_step.initial in the sampler's section"
        )
    raise SamplingError(
        f"{where} runs away: kinetic temperature {float(heat[w]):.3g} kT after {steps} steps of "
        f"{float(state.time_step[window]):.3g}; lower time_step.initial, or factor, in the sampler's section"
    )


def runaway_temperature(parameters: int) -> float:
    """Kinetic temperature of a walker of so many parameters, in kT, at which it has run away."""
    return max(RUNAWAY_TEMPERATURE, highest_temperature(parameters, NEVER))


def check_visits(problem: Problem, state: State, stage: str) -> None:
    """Stop at the end of a stage in which no walker was inside its window: there is nothing to learn from it."""
    visits = state.blocks.sum(dim=(0, 2, 3, 4)) if stage == "production" else state.visits.sum(dim=(1, 2))
    for (lower, upper), found in zip(problem.settings.windows, visits.tolist(), strict=True):
        if not found > 0:
            raise SamplingError(
                f"no walker was inside the window ln L in [{lower:g}, {upper:g}] at any step of the stage {stage}: "
                "make confinement.x, confinement.y or factor larger, steps.explore longer, or the window lower or wider"
            )


def choose_starts(
    problem: Problem, states: Tensor, kinds: np.ndarray, choose: np.random.Generator, turn: int
) -> tuple[Tensor, np.ndarray]:
    """theta[W, P], for each window as many of the states inside it as it has walkers, and their kinds, str[W].

    kinds: str[states], dealt out in turn (`entroscape.sampling.starts`).
    """
    if not len(states):
        raise SamplingError(NO_STATES)
    with torch.no_grad():  # as many at a time as in a step, which fits into memory
        seen = [problem.observe(part)[:2] for part in states.split(problem.walkers)]
    x, y = (torch.cat(values).double().cpu().numpy() for values in zip(*seen, strict=True))
    if not np.isfinite(x).any() or not np.isfinite(y).any():
        name = "ln L_train" if not np.isfinite(x).any() else problem.grid.name
        raise SamplingError(
            f"{name} of all {len(states)} start states is not finite: look for values that are not finite in the data"
        )
    chosen = []
    for window in problem.settings.windows:
        inside = _inside(problem, x, y, window)
        chosen.append(inside[deal(kinds[inside], problem.settings.walkers, choose, turn)])
    index = np.concatenate(chosen)
    return states[torch.as_tensor(index, device=states.device)].clone(), kinds[index]


def _inside(problem: Problem, x: np.ndarray, y: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Index of each state in a window and on the y axis; raises SamplingError where there is none."""
    row = problem.grid.row(np.nan_to_num(y, nan=1e9, posinf=1e9, neginf=-1e9))
    inside = np.flatnonzero((x >= window[0]) & (x < window[1]) & (row >= 0) & (row < problem.grid.rows))
    if len(inside) == 0:
        raise SamplingError(
            f"no walker can enter the window ln L in [{window[0]:g}, {window[1]:g}]: the {len(x)} start states have "
            f"ln L in [{np.nanmin(x):.3g}, {np.nanmax(x):.3g}] and {problem.grid.name} in [{np.nanmin(y):.3g}, "
            f"{np.nanmax(y):.3g}]; move or remove the window (sampler.main.windows), widen the axis "
            "(observables.y.axis), or train longer (training.steps)"
        )
    return inside
