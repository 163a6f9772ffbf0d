"""Generators follow from names alone."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from entroscape.random import generator, seed_sequence, torch_generator

NAMES = st.lists(
    st.one_of(st.integers(), st.text(st.characters(exclude_characters="\x1f", codec="utf-8"), min_size=1)), min_size=1
)


def test_numbers_stay_what_they_were():
    """Published results name only seeds: a change here would silently change every one of them."""
    names = ("spiral", "width-6", 0, "sample")
    assert seed_sequence(*names).entropy == 262163006429231615466480443602881391389
    assert generator(*names).integers(0, 2**63, 2).tolist() == [2731990956031761253, 2166218448373834928]
    assert torch_generator(*names).initial_seed() == 5089358626748587977


@given(names=NAMES)
def test_equal_names_give_equal_streams(names):
    assert (generator(*names).random(3) == generator(*names).random(3)).all()


@given(one=NAMES, other=NAMES)
def test_different_names_give_different_seeds(one, other):
    same = [str(name) for name in one] == [str(name) for name in other]
    assert (seed_sequence(*one).entropy == seed_sequence(*other).entropy) == same


@pytest.mark.parametrize(
    ("one", "other"), [(("a", "bc"), ("ab", "c")), (("a", 12), ("a", 1, 2)), (("a/b",), ("a", "b"))]
)
def test_borders_between_names_count(one, other):
    assert seed_sequence(*one).entropy != seed_sequence(*other).entropy


def test_number_and_its_text_are_one_name():
    assert seed_sequence("a", 3).entropy == seed_sequence("a", "3").entropy == seed_sequence("a", np.int64(3)).entropy


@pytest.mark.parametrize("names", [(), ("",), ("a", ""), ("a\x1fb",)])
def test_unusable_names_are_refused(names):
    with pytest.raises(ValueError, match="names that are not empty"):
        seed_sequence(*names)


def test_torch_stream_repeats_and_differs():
    def draw(*names):
        return torch.rand(4, generator=torch_generator(*names))

    assert torch.equal(draw("a", 1), draw("a", 1))
    assert not torch.equal(draw("a", 1), draw("a", 2))


def global_states() -> tuple:
    legacy = np.random.get_state()[1].tobytes()  # noqa: NPY002 (the global one is what we look at)
    return random.getstate(), legacy, torch.get_rng_state().numpy().tobytes()


def test_global_generators_are_left_alone():
    before = global_states()
    generator("a").random()
    torch.rand(1, generator=torch_generator("a"))
    assert global_states() == before


def test_torch_is_imported_only_when_it_is_used():
    program = "import sys, entroscape.random as r; r.generator('a').random(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
