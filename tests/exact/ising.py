"""A ring of Ising spins as a system of the Wang-Landau kernel: all entropies are known.

E / J = 2 d - n with d broken bonds on n spins; d is even, and g(d) = 2 C(n, d).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from entroscape.sampling import kernel
from entroscape.sampling.compiled import njit, njit_inlined


class Ring(NamedTuple):
    """Spins +-1 (as floats, the kernel's coordinates), broken bonds, and the spin a move would flip."""

    coordinates: np.ndarray
    broken: np.ndarray
    move: np.ndarray
    change: np.ndarray


def ring(spins: int) -> Ring:
    return Ring(np.ones(spins), np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))


def exact_entropy(spins: int) -> np.ndarray:
    """ln g for d = 0, 2, 4, ... broken bonds."""
    d = np.arange(0, spins + 1, 2)
    return np.log(2) + gammaln(spins + 1) - gammaln(d + 1) - gammaln(spins - d + 1)


@njit
def _load(system, coordinates):
    system.broken[0] = 0
    for i in range(len(coordinates)):
        system.coordinates[i] = coordinates[i]
        system.broken[0] += coordinates[i] != coordinates[i - 1]


@njit_inlined
def _measure(system):
    return system.broken[0] // 2, 0


@njit_inlined
def _propose(system, sigma, generator):
    spins = system.coordinates
    i = int(generator.random() * len(spins))
    aligned = spins[i] * (spins[i - 1] + spins[(i + 1) % len(spins)])  # 2, 0 or -2
    system.move[0], system.change[0] = i, int(aligned)
    return (system.broken[0] + system.change[0]) // 2


@njit_inlined
def _measure_proposal(system):
    return 0


@njit_inlined
def _accept(system):
    system.coordinates[system.move[0]] *= -1
    system.broken[0] += system.change[0]


@njit_inlined
def _reject(system):
    pass


kernel.implement(
    Ring,
    load=_load,
    measure=_measure,
    propose=_propose,
    measure_proposal=_measure_proposal,
    accept=_accept,
    reject=_reject,
)
