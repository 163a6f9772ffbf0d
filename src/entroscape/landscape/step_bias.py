"""How far S and the kinetic temperature are off because of a finite time step."""

from typing import NamedTuple

import numpy as np

from entroscape.landscape import jackknife


class Bias(NamedTuple):
    """What an integrator does; nan where nothing can be said."""

    kinetic_temperature: float
    kinetic_temperature_err: float
    entropy_error: float  # rms over bins of S - S_exact without its mean
    entropy_error_err: float
    entropy_noise: float  # what entropy_error would be of noise alone


NOTHING = Bias(*[np.nan] * 5)


def bias(visits: np.ndarray, kinetic_temperature: np.ndarray) -> Bias:
    """Bias from the visits[K, columns, rows] of K walkers under the exact map, and their kinetic temperature[K].

    Visits that are uniform mean that S is exact: S - S_exact = ln(visits) + constant. Errors are of independent
    walkers; they are nan where a bin has been visited by fewer than two, and so is the rms if by none.
    """
    walkers, total = len(visits), visits.sum(axis=0)
    off, left_out = _off(total), _off(total - visits)
    errors = jackknife.error(left_out)
    return Bias(
        float(kinetic_temperature.mean()),
        float(kinetic_temperature.std(ddof=1) / np.sqrt(walkers)),
        float(_rms(off)),
        float(jackknife.error(_rms(left_out))),
        float(_rms(errors)),
    )


def _off(visits: np.ndarray) -> np.ndarray:
    """S - S_exact without its mean, [..., columns, rows]; nan if a bin was not visited."""
    known = np.where((visits > 0).all(axis=(-2, -1), keepdims=True), visits, np.nan)
    off = np.log(known)
    return off - off.mean(axis=(-2, -1), keepdims=True)


def _rms(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(values**2, axis=(-2, -1)))
