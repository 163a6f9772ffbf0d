"""Rounds of molecular dynamics: stages, exchanges between windows, what is counted, what is left behind."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from dynamics import GRID, HALF_WIDTH, LAYOUT, ONE, THREE, TWO, advance, observe, settings, start, starts
from torch import Tensor

from entroscape.config.sampler import STRENGTH
from entroscape.domains import Shell
from entroscape.errors import SamplingError
from entroscape.sampling.dynamics.adaptation import adapt_masses, adapt_time_step, calm, deposit_height
from entroscape.sampling.dynamics.ladders import count_round_trips, exchange
from entroscape.sampling.dynamics.round import _count, evaluate
from entroscape.sampling.dynamics.state import BLOCKS, bin_energies
from entroscape.sampling.integrators import Evaluation
from entroscape.sampling.molecular_dynamics import flatness, to_dataset
from entroscape.sampling.workers import Workers

ROUNDS = 8  # in the explore and in the refine stage
PUBLISHED = dict(kind="published", rise=20, offset=10)


def tensors(state) -> dict[str, Tensor]:
    return {f.name: getattr(state, f.name) for f in fields(state) if isinstance(getattr(state, f.name), Tensor)}


def as_bytes(state) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in tensors(state).items()}


def test_walkers_start_inside_their_windows_apart_and_with_thermal_velocities():
    problem, state = start(THREE, walkers=300)
    x, y, _ = observe(state.theta)
    for (lower, upper), places in zip(THREE, x.reshape(3, 300), strict=True):
        assert (places >= lower).all() and (places < upper).all()
        assert len(places.unique()) > 250
    assert (y >= -0.8).all() and (y < 0.8).all()
    assert float(state.velocity.square().mean()) == pytest.approx(1.0, abs=4 * (2 / state.velocity.numel()) ** 0.5)
    assert problem.walkers == 900 and problem.parameters == 7


def test_few_starts_are_used_more_than_once():
    few = start(ONE, walkers=3)[1].theta.numpy()
    _, state = start(ONE, walkers=7, states=few)
    assert {row.tobytes() for row in state.theta.numpy()} == {row.tobytes() for row in few}


def test_a_window_without_a_start_is_an_error_that_says_what_to_do():
    flat = np.zeros((3, 7))  # x = 0, y = 0.1
    with pytest.raises(SamplingError) as caught:
        start(THREE, states=flat)
    assert str(caught.value) == (
        "no walker can enter the window ln L in [0.25, 1]: the 3 start states have ln L in [0, 0] and "
        "smoothed_accuracy in [0.1, 0.1]; move or remove the window (sampler.main.windows), widen the axis "
        "(observables.y.axis), or train longer (training.steps)"
    )


@pytest.mark.parametrize(("name", "factors"), [("ln L_train", (np.nan, 1.0)), ("smoothed_accuracy", (1.0, np.nan))])
def test_starts_without_finite_coordinates_are_an_error_that_names_them(name, factors):
    def wrong(theta: Tensor):
        at = observe(theta)
        return at._replace(x=at.x * factors[0], y=at.y * factors[1])

    with pytest.raises(SamplingError, match=rf"^{name} of all 2000 start states is not finite: look for values"):
        start(observe=wrong)


def test_some_starts_without_finite_coordinates_are_passed_over():
    def wrong(theta: Tensor):
        at = observe(theta)
        odd = theta[:, 0] > 0
        return at._replace(y=torch.where(odd, torch.tensor([torch.nan, torch.inf])[(theta[:, 1] > 0).long()], at.y))

    _, state = start(observe=wrong, walkers=50)
    assert (state.theta[:, 0] <= 0).all()


def test_the_force_is_minus_the_gradient_of_the_potential():
    problem, state = start(TWO)
    state.entropy += torch.as_tensor(np.random.default_rng(0).normal(size=state.entropy.shape))
    felt = problem.map.felt(state.entropy)
    at, h = evaluate(problem, Workers(1), felt, state.theta), 1e-6
    for p in range(7):
        shift = torch.zeros(7, dtype=torch.float64)
        shift[p] = h
        ahead, behind = (evaluate(problem, Workers(1), felt, state.theta + s * shift).energy for s in (1, -1))
        torch.testing.assert_close(-(ahead - behind) / (2 * h), at.force[:, p], rtol=1e-6, atol=1e-7)
    assert at.force.abs().min() > 1e-4 and at.x.dtype == at.energy.dtype == torch.float64


@pytest.mark.parametrize("integrator", ["baoab", "first_order", "hmc"])
def test_stages(integrator):
    problem, state = start(TWO, integrator=integrator, leapfrog_steps=2)
    assert problem.steps == 8 + 8 + 16 and problem.moves_per_step == 2 * 4 * 5
    explored = advance(problem, state, ROUNDS)
    assert {info.stage for info in explored} == {"explore"}
    assert (state.height == 0.02).all() and state.blocks.sum() == 0
    assert 0 < state.visits.sum() <= 2 * 4 * 40 and (state.entropy.amax(dim=(1, 2)) > 0.02).all()
    advance(problem, state, 1)
    assert 0 < state.visits.sum() <= 2 * 4 * 5, "counted anew"
    assert {info.stage for info in advance(problem, state, ROUNDS - 1)} == {"refine"}
    entropy, dt = state.entropy.clone(), state.time_step.clone()
    last = advance(problem, state)[-1]
    assert last.stage == "production" and "production" in str(last)
    torch.testing.assert_close(state.entropy, entropy, rtol=0, atol=0)
    torch.testing.assert_close(state.time_step, dt, rtol=0, atol=0)
    assert state.visits.sum() == 0 and (state.height == 0).all()
    assert (state.blocks.sum(dim=(1, 2, 3, 4)) > 0).all(), "visits in every block"
    assert (state.theta.abs() <= HALF_WIDTH).all()
    torch.testing.assert_close(state.acceptance / problem.schedule.production, last.acceptance)


def test_each_deposit_adds_its_height_times_its_area():
    problem, state = start(ONE, walkers=6, deposit_width=0.5)
    advance(problem, state, 1)
    x, y, _ = state.coordinates
    assert 5 * 6 * 0.02 * problem.map.area * 0.4 < state.entropy.sum() < 5 * 6 * 0.02 * problem.map.area * 1.05
    one = torch.zeros_like(state.entropy)
    problem.map.deposit(one, x[None], y[None], state.height)
    assert one.sum() > 0 and (state.entropy - one > -1e-12).all(), "the last step's deposits are in the map"


def test_only_trajectories_do_without_a_friction():
    assert settings(ONE, integrator="hmc", friction=None).friction is None
    with pytest.raises(ValueError, match="friction must be a number with the integrator baoab"):
        settings(ONE, integrator="baoab", friction=None)


def heights(course=None, done=0, **changes) -> float:
    """Height of the deposits of the round that begins after `done` steps of each walker."""
    problem, state = start(ONE, schedule=course or dict(kind="inverse_time"), **changes)
    state.steps = done // 5
    stage = problem.schedule.stage(state.steps)
    state.entropy[0, :3, :4] = 5.0
    return float(deposit_height(problem, state, stage)[0, 0, 0])


def test_deposits_stay_while_exploring_then_fall_as_one_over_time():
    assert heights(done=0) == heights(done=35) == 0.02
    assert heights(done=40) == pytest.approx(0.02, rel=1e-6)
    # 4 walkers, 20 refining steps, 12 flattened bins; a visit adds height times 2 pi deposit_width^2 to the map
    t = 4 * 20 / 12
    assert heights(done=60) == pytest.approx(0.02 / (1 + 0.02 * 2 * np.pi * t / STRENGTH), rel=1e-6)
    late = heights(done=50_000, steps=dict(explore=40, refine=10**6, production=80))
    t = 4 * (50_000 - 40) / 12
    assert late * 2 * np.pi * t == pytest.approx(STRENGTH, rel=0.01), "strength / t in the end"
    assert heights(done=80) == 0.0
    slower = heights(dict(kind="inverse_time", strength=60.0), done=60)
    assert slower == pytest.approx(0.02 / (1 + 0.02 * 2 * np.pi * (4 * 20 / 12) / 60.0), rel=1e-6)


def test_published_deposits_rise_stay_and_fall():
    """A rise over 20 steps, a plateau up to step 40, then (40 - 10) / (steps - 10) of it."""
    assert heights(PUBLISHED, done=0) == pytest.approx(0.02 * 1 / 20)
    assert heights(PUBLISHED, done=10) == pytest.approx(0.02 * 11 / 20)
    assert heights(PUBLISHED, done=20) == heights(PUBLISHED, done=35) == heights(PUBLISHED, done=40) == 0.02
    assert heights(PUBLISHED, done=60) == pytest.approx(0.02 * 30 / 50)
    assert heights(PUBLISHED, done=75) == pytest.approx(0.02 * 30 / 65)
    assert heights(PUBLISHED, done=80) == 0.0


def drawn_under(problem, felt: Tensor, count: int, seed=0) -> Evaluation:
    """Places with density exp(-U) in the grid, if every place had as many states: U is the map's alone."""
    random = np.random.default_rng(seed)
    fine = 4000
    x = torch.linspace(-1, 1, fine, dtype=torch.float64)
    energy = problem.map.potential(felt, x[None], torch.full((1, fine), 0.1, dtype=torch.float64)).energy[0].numpy()
    density = np.exp(energy.min() - energy)
    steps = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2))
    places = torch.as_tensor(np.interp(random.uniform(0, steps[-1], count), steps, x.numpy()))
    y = torch.as_tensor(random.uniform(-0.8, 0.8, count))
    at = problem.map.potential(felt, places[None], y[None])
    return Evaluation(places, y, (y > 0).double(), at.energy[0], torch.zeros(count, 1))


def test_weighted_visits_estimate_the_volume_of_bins_without_bias():
    """An even density of states, walkers under a map so uneven that bins are filled unevenly."""
    count = 200_000
    problem, state = start(ONE, walkers=count // 1000)
    state.entropy[0] = 2 * torch.sin(1.3 * torch.arange(GRID.columns))[:, None]
    felt = problem.map.felt(state.entropy)
    middle = bin_energies(problem, felt)
    for part in range(1000):
        at = drawn_under(problem, felt, count // 1000, seed=part)
        _count(problem, state, at, middle, part % BLOCKS)
    visits = state.blocks.sum(dim=(0, 1, 2)).numpy()
    entropy = np.log(visits) + middle.reshape(GRID.columns, GRID.rows).numpy()
    by_column = np.log(visits.sum(axis=1)) + middle.reshape(GRID.columns, GRID.rows)[:, 0].numpy()
    error = 1.3 / np.sqrt(visits.sum(axis=1))  # weights vary by some ten per cent within a bin
    difference = by_column - np.average(by_column, weights=error**-2)
    print("largest deviation in errors", np.abs(difference / error).max(), "largest error", error.max())
    assert error.max() < 0.02
    assert (np.abs(difference) < 4 * error).all()
    assert (np.abs(entropy - entropy.mean(axis=1, keepdims=True)).max(axis=1) < 4.5 * error * np.sqrt(8)).all()


def test_weights_are_those_of_the_place_against_the_middle_of_its_bin():
    problem, state = start(TWO, walkers=2)
    state.entropy += torch.as_tensor(np.random.default_rng(0).normal(size=state.entropy.shape))
    felt = problem.map.felt(state.entropy)
    x = torch.tensor([0.3, 0.9, 0.3, 0.9], dtype=torch.float64)  # 0.9 is beyond the second window
    y = torch.tensor([0.11, -0.79, 0.11, 0.9], dtype=torch.float64)  # and 0.9 beyond the axis
    energy = problem.map.potential(felt, x.reshape(2, 2), y.reshape(2, 2)).energy.flatten()
    middle = torch.tensor([0.375, 0.875, 0.375, 0.875], dtype=torch.float64), torch.tensor([0.1, -0.7, 0.1, 0.7])
    middle = problem.map.potential(felt, *(m.double().reshape(2, 2) for m in middle)).energy.flatten()
    at = Evaluation(x, y, torch.tensor([0.5, 0.25, 1.0, 1.0]).double(), energy, torch.zeros(4, 1))
    for _ in range(3):
        _count(problem, state, at, bin_energies(problem, felt), 2)
    expected = torch.zeros(2, 2, 8, 8, dtype=torch.float64)
    for (m, k, column, row), w in zip([(0, 0, 5, 4), (0, 1, 7, 0), (1, 0, 5, 4)], (0, 1, 2), strict=True):
        expected[m, k, column, row] = 3 * (energy[w] - middle[w]).exp()
    torch.testing.assert_close(state.blocks[2], expected)
    assert state.blocks.sum() == state.blocks[2].sum(), "only in their block"
    assert (expected[expected > 0] / 3 - 1).abs().min() > 1e-3
    shares = torch.tensor([[0.5, 0.25], [1.0, 1.0]]).double()[:, :, None, None]
    torch.testing.assert_close(state.accuracies, expected * shares)


def configurations(state) -> dict[int, tuple[bytes, bytes]]:
    labels = state.labels.flatten().tolist()
    return {
        label: (theta.numpy().tobytes(), velocity.numpy().tobytes())
        for label, theta, velocity in zip(labels, state.theta, state.velocity, strict=True)
    }


def test_exchanges_only_permute_configurations_between_neighbours_within_ladders():
    problem, state = start(THREE, walkers=5)
    moved = 0
    for _ in range(25):
        advance(problem, state, 1)
        held, before = configurations(state), state.labels.clone()
        exchange(problem, state)
        changed = state.labels != before
        moved += int(changed.sum())
        assert held == configurations(state), "a configuration keeps its parameters and velocities"
        assert sorted(state.labels.flatten().tolist()) == list(range(15))
        assert (state.labels % 5 == torch.arange(5)).all(), "ladders do not mix"
        first = state.steps % 2  # the window above of the pair whose turn it is
        assert not changed[2 if first == 0 else 0].any()
        torch.testing.assert_close(changed[first], changed[first + 1])
    assert moved > 20


def plane_maps(problem, state, slopes: tuple[float, float]) -> None:
    state.entropy[:] = torch.tensor(slopes).double()[:, None, None] * torch.as_tensor(GRID.x_centres)[:, None]
    state.felt.copy_(problem.map.felt(state.entropy))


def exchange_rate(a: float, b: float, slopes=(0.0, 0.0), attempts=500, walkers=8) -> float:
    problem, state = start(TWO, walkers=walkers)
    plane_maps(problem, state, slopes)
    places = torch.tensor([[a], [b]]).double().expand(2, walkers)
    state.coordinates[0], state.coordinates[1] = places.flatten(), 0.1
    state.exchanges.zero_()
    for _ in range(attempts):
        exchange(problem, state)
    assert state.exchanges[0, 0] == walkers * attempts
    return float(state.exchanges[0, 1]) / (walkers * attempts)


@pytest.mark.parametrize(
    ("a", "b", "slopes", "rate"),
    [
        (0.2, 0.2, (3.0, -2.0), 1.0),
        (0.2, 0.0, (4.0, 4.0), 1.0),
        # exp of U_0(a) - U_0(b) + U_1(b) - U_1(a), with U = slope x
        (0.2, 0.0, (-4.0, 1.0), np.exp(-4 * 0.2 - 0.2)),
        (0.2, 0.0, (4.0, -1.0), 1.0),
        (0.0, 0.2, (4.0, -1.0), np.exp(-4 * 0.2 - 0.2)),
        (0.0, 0.2, (-4.0, 1.0), 1.0),
        # a lies 0.2 beyond the second window, b 0.15 below the first: 20 kT (0.04 + 0.0225)
        (0.7, 0.0, (0.0, 0.0), np.exp(-20 * 0.04)),
        (0.7, -0.4, (0.0, 0.0), np.exp(-20 * (0.04 + 0.0225))),
    ],
)
def test_exchange_keeps_detailed_balance(a, b, slopes, rate):
    error = (rate * (1 - rate) / 4000) ** 0.5
    assert exchange_rate(a, b, slopes) == pytest.approx(rate, abs=4 * error + 1e-12)


def test_a_walker_whose_place_is_not_finite_is_not_exchanged():
    assert exchange_rate(np.nan, 0.2, attempts=20) == exchange_rate(0.2, np.inf, attempts=20) == 0.0


def test_neighbours_take_turns():
    problem, state = start(THREE)
    advance(problem, state, 1)
    state.exchanges.zero_()
    for state.steps in range(5):
        exchange(problem, state)
    assert state.exchanges[:, 0].tolist() == [3 * 4, 2 * 4]


def trips(*columns: int) -> int:
    """Round trips of a configuration seen in these columns, one a round; another rests in the middle."""
    problem, state = start(ONE, walkers=2)
    for column in columns:
        state.coordinates[0] = torch.tensor([GRID.x_centres[column], 0.1])
        state.coordinates[1] = 0.0
        count_round_trips(problem, state)
    assert state.round_trips[0, 1] == state.round_trips[1].max() == 0
    return int(state.round_trips[0, 0])


def crossings(*rows: int, known=range(GRID.rows)) -> int:
    """The same in y, seen in these rows, with those known in some column."""
    problem, state = start(ONE, walkers=2)
    state.entropy[0, 3, list(known)] = 1.0
    for row in rows:
        state.coordinates[1] = torch.tensor([GRID.y_values[row], 0.0])
        count_round_trips(problem, state)
    assert state.round_trips[0].max() == 0
    return int(state.round_trips[1, 0])


def test_round_trips():
    assert trips() == trips(0) == trips(7) == trips(0, 7) == trips(7, 0) == 0
    assert trips(7, 0, 7) == trips(7, 4, 0, 0, 3, 7, 7) == 1
    assert trips(0, 7, 0, 7, 0, 7) == 2
    assert trips(6, 1, 6) == 1, "the columns next to the ends count as ends"
    assert trips(5, 1, 5) == trips(6, 2, 6) == 0


def test_crossings_in_y_go_from_one_outer_third_of_the_known_rows_to_the_other_and_back():
    top = GRID.rows - 1
    assert crossings(top, 0, top) == crossings(0, top, 0, top) == 1
    assert crossings(top, GRID.rows // 2, top) == 0
    assert crossings(top, 0, top, known=[0]) == 0, "one row has no thirds"
    assert crossings(1, 0, 1, known=[0, 1]) == 1


def test_a_configuration_is_followed_through_windows():
    problem, state = start(TWO, walkers=2)
    state.entropy[:, :, 0] = 1.0
    for _ in range(3):  # ladder 0 is at the two ends and exchanged after each round, ladder 1 is neither
        state.coordinates[0] = torch.tensor([0.9, 0.3, -0.9, 0.3]).double()
        count_round_trips(problem, state)
        state.labels[:, 0] = state.labels.flip(0)[:, 0].clone()
    assert state.round_trips[0].tolist() == [1, 0, 0, 0]


def test_kinetic_temperature_is_that_of_each_tensor_in_each_window():
    problem, state = start(TWO, walkers=2, steps_per_round=1, time_step=dict(initial=1e-9, acceptance=None))
    scale = torch.tensor([[1.0, 2.0], [3.0, 0.5]]).double()
    state.velocity[:] = scale.repeat_interleave(2, 0).repeat_interleave(torch.tensor(LAYOUT.counts), 1)
    info = advance(problem, state, 1)[-1]
    torch.testing.assert_close(info.temperature, scale**2, rtol=1e-3, atol=0)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.99])
def test_the_time_step_shrinks_below_the_wanted_acceptance_and_grows_above_it(target):
    problem, state = start(THREE, time_step=dict(initial=0.05, acceptance=target))
    adapt_time_step(problem, state, torch.tensor([target - 0.2, target, (1 + target) / 2]).double())
    less, same, more = (state.time_step / 0.05).tolist()
    assert 0.94 < less < 1.0 and same == pytest.approx(1.0) and 1.0 < more < 1.06


def test_the_time_step_is_adapted_while_exploring_only_and_not_at_all_without_a_wanted_acceptance():
    problem, state = start(TWO, time_step=dict(initial=0.3, acceptance=0.999))
    advance(problem, state, ROUNDS)
    explored = state.time_step.clone()
    assert (explored < 0.29).all()
    advance(problem, state)
    torch.testing.assert_close(state.time_step, explored, rtol=0, atol=0)
    problem, state = start(TWO)
    advance(problem, state)
    assert (state.time_step == 0.05).all()


def test_adaptation_ends_near_the_wanted_acceptance():
    options = dict(integrator="hmc", leapfrog_steps=3, jitter=0.1, walkers=64)
    length = dict(explore=1500, refine=5, production=300)
    problem, state = start(ONE, time_step=dict(initial=0.02, acceptance=0.8), steps=length, factor=1e-3, **options)
    last = advance(problem, state)[-1]
    assert state.time_step[0] > 0.05
    assert float(last.acceptance[0]) == pytest.approx(0.8, abs=0.07)


def test_masses_even_out_how_far_the_forces_let_tensors_move():
    problem, state = start(TWO, masses="tensor", time_step=dict(initial=0.05, acceptance=None))
    state.force[:] = torch.tensor([[400.0, 1.0], [0.0, 0.0]])
    for _ in range(200):
        adapt_masses(problem, state)
    first, widths = problem.layout.counts[0], [part.mean() for part in HALF_WIDTH.split(problem.layout.counts)]
    ratio = state.scale[:, first:].mean(1) / state.scale[:, :first].mean(1)
    free = [(400 + widths[0] ** -2) / (1 + widths[1] ** -2), (widths[1] / widths[0]) ** 2]
    torch.testing.assert_close(ratio**2, torch.stack(free), rtol=1e-6, atol=0)
    torch.testing.assert_close(state.scale.log().sum(1), torch.zeros(2).double(), rtol=0, atol=1e-9)


def test_masses_change_while_exploring_only_and_not_at_all_unless_asked_for():
    problem, state = start(TWO, masses="tensor")
    advance(problem, state, ROUNDS)
    explored = state.scale.clone()
    assert (explored - 1).abs().max() > 0.02 and (explored[:, 0] != explored[:, -1]).all()
    advance(problem, state)
    torch.testing.assert_close(state.scale, explored, rtol=0, atol=0)
    problem, state = start(TWO)
    advance(problem, state)
    assert (state.scale == 1).all() and (state.force > 0).all()


def test_a_hot_walker_is_given_thermal_velocities_and_its_window_a_shorter_step():
    problem, state = start(TWO, walkers=3)
    state.velocity[:] = 1.0
    state.velocity[4] = 3.0
    calm(problem, state)
    assert (state.velocity[[0, 1, 2, 3, 5]] == 1).all()
    assert 0 < float(state.velocity[4].square().mean()) < 4
    assert state.time_step[0] == 0.05 and state.time_step[1] < 0.04


def test_flatness_compares_the_flattened_bins_only():
    problem, state = start(ONE)
    assert flatness(problem, state).tolist() == [0.0]
    state.entropy[0, 5, :3] = torch.tensor([30.0, 10.1, 9.9]).double()  # the depth is 20
    state.visits[0, 5, :3] = torch.tensor([30.0, 10.0, 1.0]).double()
    assert flatness(problem, state).tolist() == [10 / 20]
    state.blocks[:, 0, 0, 5, 1] = 5
    assert flatness(problem, state).tolist() == [30 / 40]


@pytest.mark.parametrize("integrator", ["baoab", "first_order", "hmc"])
def test_the_same_names_give_the_same_bytes_and_another_replica_others(integrator):
    options = dict(integrator=integrator, leapfrog_steps=2, jitter=0.1)
    runs = [start(TWO, seed=seed, **options) for seed in (0, 0, 1)]
    for problem, state in runs:
        advance(problem, state)
    one, same, other = (as_bytes(state) for _, state in runs)
    assert one == same
    for name in ("theta", "velocity", "entropy", "blocks"):
        assert one[name] != other[name], name


def test_single_precision_is_kept_in_parameters_and_double_in_the_map():
    problem, state = start(TWO, precision="float32")
    advance(problem, state)
    single = {name for name, value in tensors(state).items() if value.dtype == torch.float32}
    assert single == {"theta", "velocity", "time_step", "scale"}
    assert state.entropy.dtype == state.blocks.dtype == torch.float64


def test_dataset_of_a_finished_run():
    problem, state = start(TWO, walkers=3)
    advance(problem, state)
    dataset = to_dataset(problem, state)
    x, y = "ln_train_loss", "smoothed_accuracy"
    assert {name: variable.dims for name, variable in dataset.data_vars.items()} == {
        "histogram": ("block", "window", "walker", x, y),
        "weight_entropy": ("window", x, y),
        "steps_begun": ("window", x, y),
        "steps_accepted": ("window", x, y),
        "window_edges": ("window", "edge"),
        "time_step": ("window",),
        "mass": ("window", "tensor"),
        "acceptance": ("window",),
        "kinetic_temperature": ("window", "tensor"),
        "disagreement": ("window",),
        "flatness": ("window",),
        "exchange_rate": ("overlap",),
        "round_trips": ("configuration",),
        "round_trips_in_y": ("configuration",),
        "start_kind": ("window", "walker"),
        "accuracy_sum": ("window", "walker", x, y),
    }
    assert dict(dataset.sizes) == dict(block=8, window=2, walker=3, edge=2, tensor=2, overlap=1, configuration=6) | {
        x: 8, y: 8
    }  # fmt: skip
    np.testing.assert_array_equal(dataset[x], GRID.x_centres)
    np.testing.assert_array_equal(dataset[y], GRID.y_values)
    assert dataset["tensor"].values.tolist() == ["weight", "bias"]
    assert dataset.attrs == {"procedure": "molecular_dynamics", "moves": 160, "integrator": "baoab"}
    weights, histogram = dataset["weight_entropy"].to_numpy(), dataset["histogram"].sum(("block", "walker")).to_numpy()
    for m, (first, last) in enumerate([(3, 8), (0, 6)]):
        inside = np.zeros((8, 8), bool)
        inside[first:last] = True
        np.testing.assert_array_equal(np.isfinite(weights[m]), inside)
        assert (weights[m][~inside] == -np.inf).all() and (histogram[m][~inside] == 0).all()
        nodes = problem.map.felt(state.entropy)[m].numpy()
        middle = nodes[4, 4] * 4 / 9 + (nodes[3, 4] + nodes[5, 4] + nodes[4, 3] + nodes[4, 5]) / 9
        middle += (nodes[3, 3] + nodes[3, 5] + nodes[5, 3] + nodes[5, 5]) / 36
        assert weights[m, 4, 4] == pytest.approx(middle), "the frozen potential at the middle of a bin"
    visited = dataset["histogram"].sum("block") > 0
    mean = (dataset["accuracy_sum"] / dataset["histogram"].sum("block")).where(visited)
    lower, upper = ((((GRID.y_values + s * 0.1) + 1) * 5).round() / 10 for s in (-1, 1))
    assert visited.any() and (((mean >= lower - 1e-9) & (mean <= upper + 1e-9)) | ~visited).all()
    assert (dataset["acceptance"] > 0.5).all() and (dataset["acceptance"] <= 1).all()
    assert ((dataset["kinetic_temperature"] > 0.5) & (dataset["kinetic_temperature"] < 2)).all()
    assert 0 < dataset["exchange_rate"].item() <= 1


def test_regression_has_no_true_accuracy():
    problem, state = start(ONE)
    advance(problem, state)
    assert "accuracy_sum" in to_dataset(problem, state)
    assert "accuracy_sum" not in to_dataset(replace(problem, grid=replace(GRID, name="ln_test_loss")), state)


@pytest.mark.parametrize("integrator", ["baoab", "first_order", "hmc"])
def test_a_run_on_a_shell_stays_on_it_in_single_precision_with_the_temperature_of_its_freedom(integrator):
    """Seven parameters have six degrees of freedom there; what is reported is not lower for that."""
    shell = Shell(torch.tensor(1.3, dtype=torch.float64))
    options = dict(integrator=integrator, leapfrog_steps=2, walkers=64, time_step=dict(initial=0.02, acceptance=0.9))
    problem, state = start(TWO, domain=shell, precision="float32", **options)
    assert not torch.allclose(torch.as_tensor(starts()).norm(dim=1), shell.norm), "they are put onto the shell"
    infos = advance(problem, state)
    assert state.theta.dtype == torch.float32 and problem.domain.inside(state.theta).all()
    assert ((state.theta * state.velocity).sum(1).abs() < 1e-4).all()
    kinetic = infos[-1].temperature
    print(kinetic)
    assert (kinetic - 1).abs().max() < 0.12 and infos[-1].rounds == problem.schedule.production
