"""Of what kinds the states are that walkers start from, and how walkers are dealt out to them.

Where walkers mix, it does not matter where they start. Whether they do is to be found out, so the walkers of a window
start from states of different kinds, and each replica deals them out in another order: walkers that remember where
they came from then disagree, within a replica and from one to the next.
"""

from itertools import chain, zip_longest

import numpy as np

# random: drawn evenly from the domain. cooled: such a point, followed down in ln L. sgd, adam, adamw: passed by a run
# of that optimizer. perturbed: a trained state shaken out of its minimum and followed down. given: not said.
# A state passed while a trained run is followed down counts as one of its optimizer.
KINDS = ("given", "random", "cooled", "sgd", "adam", "adamw", "perturbed")

NO_STATES = "there are no states to start from: train longer (training.steps), or give states inside the windows"


def deal(kinds: np.ndarray, walkers: int, choose: np.random.Generator, turn: int = 0) -> np.ndarray:
    """Index of the state that each of so many walkers starts from, int[walkers].

    One of each kind in turn, beginning with that of number `turn`; different states as far as there are enough.

    Parameters
    ----------
    kinds
        str[states], the kind of each state.
    """
    names = sorted(set(kinds.tolist()))
    decks = [choose.permutation(np.flatnonzero(kinds == name)).tolist() for name in names]
    first = turn % len(decks)
    rounds = zip_longest(*decks[first:], *decks[:first])
    dealt = [state for state in chain.from_iterable(rounds) if state is not None]
    return np.resize(np.array(dealt), walkers)


def numbers(kinds: np.ndarray) -> np.ndarray:
    """Place in `KINDS` of each name, int64; "given" for a name that is not there."""
    return np.array([KINDS.index(name) if name in KINDS else 0 for name in kinds.ravel()], np.int64).reshape(
        kinds.shape
    )
