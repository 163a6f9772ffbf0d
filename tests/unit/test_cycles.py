"""The published procedure: cycles of instances that walk alone and are averaged."""

import numpy as np
import pytest
from walkers import GRID, PARAMETERS, STEP_SIZE, box_states, build

from entroscape import random
from entroscape.config.sampler import Cycles
from entroscape.errors import SamplingError
from entroscape.sampling import cycles
from entroscape.sampling.workers import Workers


def start(starts=None, seed=0, **changes):
    values = dict(
        procedure="cycles",
        replicas=2,
        instances=3,
        cycles=20,
        moves_per_cycle=400,
        factor_scale=5.0,
        factor_offset=10.0,
        unequilibrated_factor=0.001,
        step_size=STEP_SIZE,
        checkpoint_seconds=60.0,
    )
    problem = cycles.make_problem(build, GRID, Cycles(**(values | changes)))
    starts = box_states() if starts is None else starts
    return problem, cycles.init(problem, starts, lambda role: random.generator("cycles", seed, role))


def advance(problem, state, count, threads=1):
    with Workers(threads) as pool:
        return [cycles.step(problem, state, pool) for _ in range(count)]


def test_map_is_the_mean_of_the_instances_and_histogram_their_sum():
    problem, state = start()
    state.settled[0] = True
    (info,) = advance(problem, state, 1)
    np.testing.assert_array_equal(state.entropy, state.instances.mean(axis=0))
    assert state.histogram.sum() == 3 * 400
    # every visit of any instance raised its own map by the factor, which the mean divides by their number
    np.testing.assert_allclose(state.entropy, state.histogram * info.factor / 3, rtol=1e-12)
    assert not np.array_equal(state.instances[0], state.instances[1])


def test_each_cycle_starts_from_the_mean():
    problem, state = start()
    state.settled[0] = True
    advance(problem, state, 1)
    before = state.entropy.copy()
    advance(problem, state, 1)
    raised = state.instances - before
    assert (raised >= 0).all()
    np.testing.assert_allclose(raised.sum(axis=(1, 2)), 400 * 5.0 / 11)


def test_factor_falls_with_the_number_of_the_cycle():
    problem, state = start()
    state.settled[0] = True
    factors = [info.factor for info in advance(problem, state, 5)]
    assert factors == [5.0 / (i + 10.0) for i in range(5)]


def test_factor_is_small_until_the_step_size_has_settled():
    problem, state = start(step_size=STEP_SIZE | dict(initial=0.1, grow=1.3))
    infos = advance(problem, state, 20)
    settling = [info.factor == 0.001 for info in infos]
    first = settling.index(False)
    assert first > 3 and not any(settling[first:])
    assert all(info.acceptance > 0.7 for info in infos[: first - 1])
    assert 0.3 <= infos[first - 1].acceptance <= 0.7
    assert infos[first].factor == 5.0 / (first + 10.0)


def test_step_size_stays_once_settled():
    problem, state = start(step_size=STEP_SIZE | dict(grow=1.3))
    advance(problem, state, 10)
    assert state.settled[0]
    sigma = state.sigma.copy()
    state.sigma[0] = 0.001  # everything is accepted now
    advance(problem, state, 3)
    assert state.sigma[0] == 0.001 != sigma[0]


def test_first_visits_carry_the_number_of_their_cycle():
    problem, state = start()
    seen = np.zeros((GRID.columns, GRID.rows), dtype=int)
    for number in range(1, 6):
        advance(problem, state, 1)
        seen[(seen == 0) & (state.histogram > 0)] = number
    np.testing.assert_array_equal(state.visited, seen)
    assert len(np.unique(seen)) > 3


def test_results_do_not_depend_on_threads():
    (problem, one), (_, two) = start(), start()
    advance(problem, one, 5, threads=1)
    advance(problem, two, 5, threads=3)
    for name in ("walkers", "entropy", "instances", "histogram", "visited", "sigma"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_too_few_starts_are_an_error():
    starts = np.concatenate([np.zeros((2, PARAMETERS)), box_states(5) * 1e3])
    with pytest.raises(SamplingError) as caught:
        start(starts)
    assert str(caught.value) == (
        "3 instances need as many starts, but only 2 of 7 lie on the axis ln L in [-0.9, 0.5]; "
        "widen observables.ln_train_loss"
    )


def test_dataset_has_no_entropy_where_nothing_was_visited():
    problem, state = start()
    advance(problem, state, 20)
    dataset = cycles.to_dataset(problem, state)
    visited = dataset["first_visit"].to_numpy() > 0
    np.testing.assert_array_equal(np.isfinite(dataset["entropy"]), visited)
    np.testing.assert_array_equal(np.isfinite(dataset["entropy_instances"]).all("instance"), visited)
    assert 10 < visited.sum() < visited.size
    assert dataset.attrs == {"procedure": "cycles", "moves": 20 * 400}
