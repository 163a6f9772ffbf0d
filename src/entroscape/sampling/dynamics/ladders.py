"""Exchanges of configurations between neighbouring windows, and the round trips that they make."""

import torch

from entroscape.sampling.dynamics.state import Problem, State, cells, flattened_bins, per_window
from entroscape.sampling.trips import ends_in_x, ends_in_y


def exchange(problem: Problem, state: State) -> None:
    """Offer the walkers of windows m and m + 1 of each ladder an exchange; even and odd m take turns.

    Accepted with min(1, exp(U_m(a) - U_m(b) + U_m+1(b) - U_m+1(a))); confinement is part of U.
    """
    windows = len(problem.settings.windows)
    first = list(range(state.steps % 2, windows - 1, 2))
    partner = list(range(windows))
    for m in first:
        partner[m], partner[m + 1] = m + 1, m
    if not first:
        return
    swap = torch.tensor(partner, device=state.theta.device)
    x, y = (per_window(problem, value) for value in state.coordinates[:2])
    now, then = (problem.map.potential(state.felt, *place).energy for place in ((x, y), (x[swap], y[swap])))
    gain = now - then
    gain = gain + gain[swap]
    uniform = torch.rand(gain.shape, generator=state.generators[0], dtype=gain.dtype, device=gain.device)
    chance = uniform[torch.minimum(swap, torch.arange(windows, device=swap.device))]  # one number for both
    accepted = (chance.log() < gain) & (swap != torch.arange(windows, device=swap.device)).unsqueeze(1)
    for values in (state.theta, state.velocity, state.labels):
        by_window = values.reshape(windows, problem.settings.walkers, -1)
        by_window.copy_(torch.where(accepted.unsqueeze(2), by_window[swap], by_window))
    state.exchanges[first, 0] += problem.settings.walkers
    state.exchanges[first, 1] += accepted[first].sum(1).double()


def count_round_trips(problem: Problem, state: State) -> None:
    """Count the configurations that are seen at the low end, then at the high end again, in x and in y.

    The ends are those of `entroscape.sampling.trips`. Only the last step of a round is looked at, so that trips are
    never overcounted.
    """
    column, row, inside = cells(problem, *(per_window(problem, value) for value in state.coordinates[:2]))
    known = flattened_bins(problem, state).any(dim=1).any(dim=0).cpu().numpy()
    labels = state.labels.flatten()
    for axis, (place, ends) in enumerate(((column, ends_in_x(problem.columns)), (row, ends_in_y(known)))):
        if ends is None:
            continue
        at_low, at_high = ((inside & at).flatten() for at in (place <= ends[0], place >= ends[1]))
        last = state.last_end[axis, labels]
        state.round_trips[axis, labels] += ((last == -1) & at_high).long()
        state.last_end[axis, labels] = torch.where((last == 1) & at_low, -1, torch.where(at_high, 1, last))
