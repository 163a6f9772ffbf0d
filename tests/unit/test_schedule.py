"""Stages, blocks and modification factors of a run."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entroscape.config.sampler import STRENGTH, Stages
from entroscape.sampling.schedule import Schedule

SCHEDULE = Schedule(explore=3, refine=4, production=16, factor=0.01, blocks=8)


def test_stages_follow_each_other():
    stages = [SCHEDULE.stage(done) for done in range(SCHEDULE.rounds)]
    lengths = [(stage, len(list(group))) for stage, group in itertools.groupby(stages)]
    assert lengths == [("explore", 3), ("refine", 4), ("production", 16)]


def test_moves_are_rounded_up_to_whole_rounds():
    schedule = Schedule.of(Stages(explore=1, refine=1001, production=20_000), 1000, factor=0.5, blocks=8)
    assert (schedule.explore, schedule.refine, schedule.production) == (1, 2, 20)
    assert schedule.factor == 0.5


def test_production_has_a_round_for_every_block():
    schedule = Schedule.of(Stages(explore=1, refine=1, production=1), 1000, factor=0.01, blocks=8)
    assert schedule.production == 8
    assert [schedule.block(done) for done in range(2, 10)] == list(range(8))


@pytest.mark.parametrize("production", [8, 9, 16, 23, 100])
def test_blocks_are_equal_but_for_one_round(production):
    schedule = Schedule(2, 5, production, 0.01, 8)
    blocks = [schedule.block(7 + i) for i in range(production)]
    sizes = [blocks.count(block) for block in range(8)]
    assert blocks == sorted(blocks) and sum(sizes) == production
    assert max(sizes) - min(sizes) <= 1


def test_factor_is_constant_then_falls_as_one_over_t_then_is_nothing():
    assert [SCHEDULE.modification_factor(done, moves_per_bin=1e9) for done in range(3)] == [0.01] * 3
    assert SCHEDULE.modification_factor(3, moves_per_bin=0.0) == 0.01
    assert SCHEDULE.modification_factor(4, moves_per_bin=1e7) == pytest.approx(STRENGTH / 1e7, rel=1e-3)
    factors = [SCHEDULE.modification_factor(5, moves) for moves in (0.0, 10.0, 1e3, 1e5)]
    assert factors == sorted(factors, reverse=True) and len(set(factors)) == 4
    assert [SCHEDULE.modification_factor(done, 5.0) for done in range(7, 23)] == [0.0] * 16


LENGTHS = st.integers(1, 10_000)


@given(LENGTHS, LENGTHS, LENGTHS, st.integers(1, 3000), st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_every_schedule_runs_through_its_stages_once_with_a_factor_that_never_rises(
    explore, refine, production, per_round, moves
):
    stages = Stages(explore=explore, refine=refine, production=production)
    schedule = Schedule.of(stages, per_round, factor=0.3, blocks=8)
    assert (schedule.explore - 1) * per_round < explore <= schedule.explore * per_round
    assert schedule.production >= 8
    ends = [schedule.explore, schedule.explore + schedule.refine, schedule.rounds]
    assert [schedule.stage(end - 1) for end in ends] == ["explore", "refine", "production"]
    assert [schedule.stage(end) for end in ends[:2]] == ["refine", "production"]
    assert (schedule.block(ends[1]), schedule.block(ends[2] - 1)) == (0, 7)
    factors = [schedule.modification_factor(ends[0], one) for one in sorted(moves)]
    assert factors == sorted(factors, reverse=True) and all(0 < factor <= 0.3 for factor in factors)
