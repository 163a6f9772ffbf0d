"""Walkers start from states of different kinds, and replicas deal them out in another order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from entroscape.sampling.starts import KINDS, deal, numbers

THREE = np.array(["sgd"] * 5 + ["cooled"] * 2 + ["perturbed"] * 3)


def random(seed=0):
    return np.random.default_rng(seed)


@given(st.integers(0, 100), st.integers(0, 5))
def test_every_kind_gets_a_walker_before_any_gets_a_second(seed, turn):
    dealt = THREE[deal(THREE, 6, random(seed), turn)].tolist()
    assert sorted(dealt) == sorted(["sgd", "cooled", "perturbed"] * 2)
    assert dealt[:3] == dealt[3:]


def test_another_turn_begins_with_another_kind():
    first = [THREE[deal(THREE, 1, random(), turn)].item() for turn in range(4)]
    assert first == ["cooled", "perturbed", "sgd", "cooled"]


@given(st.integers(0, 100))
def test_states_are_different_as_long_as_there_are_enough(seed):
    assert sorted(deal(THREE, len(THREE), random(seed))) == list(range(len(THREE)))
    more = deal(THREE, 13, random(seed))
    assert len(more) == 13 and set(more) == set(range(len(THREE)))


def test_a_kind_that_runs_out_leaves_its_turns_to_the_others():
    kinds = THREE[deal(THREE, 9, random())].tolist()
    assert kinds.count("cooled") == 2 and kinds.count("perturbed") == 3


def test_kinds_as_numbers():
    assert [KINDS[n] for n in numbers(np.array(["cooled", "adamw", "of my own"]))] == ["cooled", "adamw", "given"]
