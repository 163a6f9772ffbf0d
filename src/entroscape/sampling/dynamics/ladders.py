"""Exchanges of configurations between neighbouring windows, and the round trips that they make."""

import torch

from entroscape.sampling.dynamics.state import Problem, State, cells, flattened_bins, per_window


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
    """A configuration makes a round trip when it is seen at the low-loss end, then at the high-loss end again.

    The ends are the outermost two columns that any window has flattened. Only the last step of a round is looked at,
    so that trips are never overcounted.
    """
    column, _, inside = cells(problem, *(per_window(problem, value) for value in state.coordinates[:2]))
    known = flattened_bins(problem, state).any(dim=2).any(dim=0)
    numbers = torch.arange(problem.grid.columns, device=known.device)
    low = torch.where(known, numbers, problem.grid.columns).min() + 1
    high = torch.where(known, numbers, -1).max() - 1
    labels = state.labels.flatten()
    at_low, at_high = ((inside & at).flatten() for at in (column <= low, column >= high))
    last = state.last_end[labels]
    state.round_trips[labels] += ((last == -1) & at_high).long()
    state.last_end[labels] = torch.where((last == 1) & at_low, -1, torch.where(at_high, 1, last))
