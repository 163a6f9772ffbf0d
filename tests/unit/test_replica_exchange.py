"""Rounds of replica exchange: stages, exchanges between windows, what is counted, what is left behind."""

import numpy as np
import pytest
from walkers import GRID, PARAMETERS, STEP_SIZE, WINDOWS, advance, box_states, build, exchange_settings, start

from entroscape import random
from entroscape.errors import SamplingError
from entroscape.sampling import replica_exchange
from entroscape.sampling.replica_exchange import BLOCKS, _count_round_trips, _exchange, flatness, to_dataset
from entroscape.sampling.trips import ends_in_x

THREE = [(0.0, 0.5), (-0.3, 0.2), (-0.5, -0.1)]  # columns 9-13, 6-10, 4-7
ROUNDS = 4000 // 500  # in the explore and in the refine stage


def arrays(state):
    return {name: value for name, value in vars(state).items() if isinstance(value, np.ndarray)}


def assert_equal_states(one, two):
    for name, value in arrays(one).items():
        np.testing.assert_array_equal(value, getattr(two, name), err_msg=name)
    for a, b in zip(one.generators, two.generators, strict=True):
        assert a.bit_generator.state == b.bit_generator.state


def test_walkers_start_inside_their_windows_and_apart():
    problem, state = start(THREE)
    for (first, last), walkers, bins in zip(problem.windows, state.walkers, state.bins, strict=True):
        assert (bins[:, 0] >= first).all() and (bins[:, 0] < last).all()
        assert not np.array_equal(walkers[0], walkers[1])


def test_few_starts_are_used_more_than_once():
    problem = replica_exchange.make_problem(build, GRID, exchange_settings([WINDOWS[0]], walkers=5))
    _, many = start()
    starts = many.walkers[0]
    state = replica_exchange.init(problem, starts, lambda role: random.generator("few", role))
    assert {row.tobytes() for row in state.walkers[0]} == {row.tobytes() for row in starts}


def test_a_window_without_a_start_is_an_error():
    problem = replica_exchange.make_problem(build, GRID, exchange_settings([(0.0, 0.5), (-0.9, 0.1)]))
    flat = np.zeros((3, PARAMETERS))  # ln ln 2 = -0.37 lies in the second window only
    with pytest.raises(SamplingError) as caught:
        replica_exchange.init(problem, flat, lambda role: random.generator("none", role))
    assert str(caught.value) == (
        "no walker can enter the window ln L in [0, 0.5): the 3 start states lie in [-0.4, -0.3]; "
        "move or remove the window (sampler.main.windows), or train longer (training.steps)"
    )


def test_starts_beyond_the_grid_are_named_by_its_edge():
    problem = replica_exchange.make_problem(build, GRID, exchange_settings())
    wild = box_states(20) * 50
    with pytest.raises(SamplingError, match=r"the 20 start states lie in \[0\.5, 0\.5\]"):
        replica_exchange.init(problem, wild, lambda role: random.generator("wild", role))


def test_stages_step_size_and_map():
    problem, state = start(step_size=STEP_SIZE | dict(initial=0.02))
    explored = advance(problem, state, ROUNDS)
    assert {info.stage for info in explored} == {"explore"} and {info.factor for info in explored} == {0.05}
    assert (state.sigma > 0.02).all()
    assert state.visits.sum() == 2 * 2 * 4000 and state.blocks.sum() == 0
    sigma = state.sigma.copy()
    refined = advance(problem, state, ROUNDS)
    factors = [info.factor for info in refined]
    assert {info.stage for info in refined} == {"refine"}
    assert factors[0] == 0.05 and factors == sorted(factors, reverse=True) and factors[-1] < 0.03
    assert state.visits.sum() == 2 * 2 * 4000  # counted anew
    entropy, ceiling = state.entropy.copy(), state.ceiling.copy()
    measured = advance(problem, state, problem.steps - state.steps)
    assert {(info.stage, info.factor) for info in measured} == {("production", 0.0)}
    np.testing.assert_array_equal(state.sigma, sigma)
    np.testing.assert_array_equal(state.entropy, entropy)
    np.testing.assert_array_equal(state.ceiling, ceiling)
    assert state.visits.sum() == 0
    np.testing.assert_array_equal(state.blocks.sum(axis=(3, 4)), np.full((BLOCKS, 2, 2), 1000))
    assert state.accepted.sum() == round(sum(info.acceptance.sum() * 1000 for info in measured))
    assert "production" in str(measured[-1])


def test_results_do_not_depend_on_threads():
    (problem, one), (_, two) = start(THREE), start(THREE)
    advance(problem, one, problem.steps, threads=1)
    advance(problem, two, problem.steps, threads=2)
    assert_equal_states(one, two)


def test_another_seed_gives_another_run():
    (problem, one), (_, two) = start(seed=1), start(seed=2)
    advance(problem, one, 2)
    advance(problem, two, 2)
    assert not np.array_equal(one.entropy, two.entropy)


def test_exchanges_only_permute_configurations_within_ladders():
    problem, state = start(THREE, walkers=4, moves=dict(explore=4000, refine=100_000, production=8000))
    moved = 0
    for _ in range(150):
        advance(problem, state, 1)
        held = {label: (walker.tobytes(), tuple(place)) for label, walker, place in configurations(state)}
        before = state.labels.copy()
        _exchange(problem, state)
        moved += (state.labels != before).sum()
        assert held == {label: (walker.tobytes(), tuple(place)) for label, walker, place in configurations(state)}
        np.testing.assert_array_equal(np.sort(state.labels.ravel()), np.arange(12))
        np.testing.assert_array_equal(state.labels % 4, np.tile(np.arange(4), (3, 1)))
        for (first, last), bins in zip(problem.windows, state.bins, strict=True):
            assert (bins[:, 0] >= first).all() and (bins[:, 0] < last).all()
    assert moved > 10


def configurations(state):
    for m, k in np.ndindex(*state.labels.shape):
        yield int(state.labels[m, k]), state.walkers[m, k], state.bins[m, k]


def two_windows(a=9, b=8, **changes):
    """Flat maps of windows [5, 14) and [2, 10) in columns; ladder 0 at columns a and b, ladder 1 where none fits."""
    problem, state = start([(-0.4, 0.5), (-0.7, 0.1)], **changes)
    for m, ((first, last), columns) in enumerate(zip(problem.windows, ((a, 13), (b, 2)), strict=True)):
        state.entropy[m, first:last, 0] = state.ceiling[m, first:last] = 0.0
        state.bins[m] = [(column, 0) for column in columns]
    return problem, state


def acceptance_rate(problem, state, attempts=2000) -> float:
    bins = state.bins.copy()
    for _ in range(attempts):
        state.bins[:] = bins
        _exchange(problem, state)
    assert state.exchanges[0, 0] == 2 * attempts
    return state.exchanges[0, 1] / attempts


# entropies of window 0 at a and b, of window 1 at a and b; exp of S_0(a) - S_0(b) + S_1(b) - S_1(a)
@pytest.mark.parametrize(
    ("entropies", "rate"),
    [((0, 0, 0, 0), 1.0), ((-1, 0, 0, 0), 0.368), ((0, 1, 0, 0), 0.368), ((0, 0, 1, 0), 0.368), ((0, 0, 0, -1), 0.368),
     ((2, 1, 3, 1), 0.368), ((1, 2, 1, 2), 1.0), ((2, 1, 1, 1), 1.0)],
)  # fmt: skip
def test_exchange_keeps_detailed_balance(entropies, rate):
    problem, state = two_windows(a=9, b=8)
    state.entropy[:, [9, 8], 0] = np.reshape(entropies, (2, 2))
    state.ceiling[:, [9, 8]] = np.reshape(entropies, (2, 2))
    assert acceptance_rate(problem, state) == pytest.approx(rate, abs=0.04 if rate < 1 else 0)


def test_exchange_weighs_rare_bins_by_the_floor():
    problem, state = two_windows(a=9, b=8)
    state.ceiling[0, 8] = 9.0  # b's own bin lies 9 below: counts as 9 - depth = 1
    assert acceptance_rate(problem, state) == pytest.approx(np.exp(-1.0), abs=0.04)


@pytest.mark.parametrize(("a", "b", "rate"), [(10, 8, 0.0), (9, 4, 0.0), (13, 2, 0.0), (9, 5, 1.0)])
def test_only_configurations_that_fit_both_windows_are_exchanged(a, b, rate):
    assert acceptance_rate(*two_windows(a, b), attempts=50) == rate


def test_neighbours_take_turns():
    problem, state = start(THREE)
    advance(problem, state, 1)
    state.exchanges[:] = 0
    for state.steps in range(5):
        _exchange(problem, state)
    assert state.exchanges[:, 0].tolist() == [3 * 2, 2 * 2]


@pytest.mark.parametrize(("done", "rate"), [(0, 1.0), (4, 1.0), (10, 1.0), (12, 0.0), (14, 0.0)])
def test_a_column_without_entropy_is_closed_when_the_next_round_is_frozen(done, rate):
    """A walker would never leave it: under frozen weights every other state is infinitely rarer."""
    problem, state = two_windows(moves=dict(explore=2000, refine=4500, production=4000))
    assert [problem.schedule.stage(n) for n in (3, 4, 12, 13)] == ["explore", "refine", "refine", "production"]
    state.steps = done
    state.entropy[0, 8], state.ceiling[0, 8] = -np.inf, -np.inf
    assert acceptance_rate(problem, state, attempts=20) == rate


def trips(*rounds) -> int:
    """Round trips of a configuration that spans these (lowest, highest) columns, one pair a round; another rests."""
    problem, state = start([(-0.7, 0.5)])
    for lowest, highest in rounds:
        _count_round_trips(problem, state, [np.array([[0, 0, 0, lowest, highest, 3, 3], [0, 0, 0, 7, 7, 3, 3]])])
    assert state.round_trips[0, 1] == state.round_trips[1].max() == 0
    return int(state.round_trips[0, 0])


def crossings(*rounds, known=range(2, 11)) -> int:
    """The same in y, between (lowest, highest) rows, with these rows known in some column."""
    problem, state = start([(-0.7, 0.5)])
    state.entropy[0, 5, list(known)] = 1.0
    state.ceiling[0, 5] = 1.0
    state.entropy[0, 6, 1], state.ceiling[0, 6] = 1.0, 1.0 + problem.settings.depth  # too deep to be flattened
    for lowest, highest in rounds:
        _count_round_trips(problem, state, [np.array([[0, 0, 0, 7, 7, lowest, highest], [0, 0, 0, 7, 7, 6, 6]])])
    assert state.round_trips[1, 1] == state.round_trips[0].max() == 0
    return int(state.round_trips[1, 0])


def test_round_trips():
    low, middle, high = (2, 7), (5, 9), (8, 13)
    assert trips() == trips(low) == trips(high) == trips(middle) == 0
    assert trips(low, high) == 0, "half of one"
    assert trips(high, low) == 0
    assert trips(high, low, high) == 1
    assert trips(high, middle, low, low, middle, high, high) == 1
    assert trips(low, high, low, high, low, high) == 2
    assert trips((12, 12), (3, 3), (12, 12)) == 1, "the columns next to the ends count as ends"
    assert trips((11, 11), (3, 3), (11, 11)) == 0


def test_the_ends_are_those_of_the_range_asked_for_whether_or_not_anyone_was_there():
    assert trips((12, 12), (4, 4), (12, 12)) == 0


def test_of_few_columns_only_the_outermost_are_ends():
    assert ends_in_x([(2, 14)]) == (3, 12) and ends_in_x([(7, 14), (2, 9)]) == (3, 12)
    assert ends_in_x([(2, 7)]) == (2, 6) and ends_in_x([(2, 5)]) == (2, 4), "who rests in the middle crosses nothing"


def test_crossings_in_y_go_from_one_outer_third_of_the_known_rows_to_the_other_and_back():
    assert crossings((8, 8), (4, 4), (8, 8)) == 1
    assert crossings((8, 10), (2, 4), (5, 7), (5, 7)) == 0
    assert crossings((7, 7), (4, 4), (7, 7)) == crossings((8, 8), (5, 5), (8, 8)) == 0, "the middle third is neither"
    assert crossings((3, 3), (2, 2), (3, 3), known=[2, 3]) == 1
    assert crossings((2, 2), (2, 2), (2, 2), known=[2]) == 0, "one row has no thirds"


def test_both_ends_in_one_round_never_overcount():
    both = (2, 13)
    assert trips(both) == trips(both, both) == 0
    assert trips(both, both, both) == 1
    assert trips((13, 13), both, (13, 13)) == 1


def test_a_configuration_is_followed_through_windows():
    problem, state = start([(-0.1, 0.5), (-0.7, 0.1)])
    reports = [
        np.array([[0, 0, 0, 9, 13, 3, 3], [0, 0, 0, 9, 10, 3, 3]]),
        np.array([[0, 0, 0, 2, 9, 3, 3], [0, 0, 0, 7, 9, 3, 3]]),
    ]
    for _ in range(3):  # ladder 0 touches the ends and is exchanged after each round, ladder 1 does neither
        _count_round_trips(problem, state, reports)
        state.labels[:, 0] = state.labels[::-1, 0].copy()
    assert state.round_trips[0].tolist() == [1, 0, 0, 0]


def test_flatness_compares_the_flattened_bins_only():
    _, state = start([(-0.7, 0.5)])
    assert flatness(state, 8.0).tolist() == [0.0]
    state.entropy[0, 5, :3] = 10.0, 2.1, 1.9
    state.ceiling[0, 5] = 10.0
    state.visits[0, 0, 5, :3] = 30, 10, 1
    assert flatness(state, 8.0).tolist() == [10 / 20]
    state.blocks[:, 0, 0, 5, 1] = 5
    assert flatness(state, 8.0).tolist() == [30 / 40]


def test_dataset_of_a_finished_run():
    problem, state = start(walkers=4)
    advance(problem, state, problem.steps)
    dataset = to_dataset(problem, state)
    weights, histogram = dataset["weight_entropy"].to_numpy(), dataset["histogram"].sum(("block", "walker")).to_numpy()
    assert (histogram[~np.isfinite(weights)] == 0).all()
    for (first, last), weight, entropy in zip(problem.windows, weights, state.entropy, strict=True):
        assert not np.isfinite(weight[:first]).any() and not np.isfinite(weight[last:]).any()
        known = np.isfinite(entropy).any(axis=1)
        assert np.isfinite(weight[known]).all() and not np.isfinite(weight[~known]).any()
        spread = weight[known].max(axis=1) - weight[known].min(axis=1)
        np.testing.assert_allclose(spread, 8.0)  # the floor, since no column has states in every row
        above = entropy > weight.max(axis=1, keepdims=True) - 8.0
        np.testing.assert_array_equal(weight[above], entropy[above])
    assert dataset.attrs == {"procedure": "replica_exchange", "moves": 16_000}
    assert ((dataset["acceptance"] > 0.1) & (dataset["acceptance"] < 0.9)).all()
    assert dataset["exchange_rate"].item() == state.exchanges[0, 1] / state.exchanges[0, 0] > 0
