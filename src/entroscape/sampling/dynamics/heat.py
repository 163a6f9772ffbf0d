"""How hot a walker of few parameters may be by chance."""

from functools import cache

from scipy.special import gammainccinv


@cache
def highest_temperature(parameters: int, probability: float) -> float:
    """Kinetic temperature, in kT, that the mean square of so many thermal velocities exceeds with this probability.

    The sum of squares is distributed as chi square with `parameters` degrees of freedom. Along a shell there is one
    less, which makes walkers exceed it even more seldom.
    """
    return float(2 * gammainccinv(parameters / 2, probability) / parameters)
