"""Compiled motion of walkers on CPU, for `entroscape.domains`; theta, velocity, moved and turned are [W, P]."""

import math

import numpy as np

from entroscape.numba_cache import njit as _njit
from entroscape.numba_cache import njit_reordered as _njit_reordered


@_njit
def straight(theta, velocity, step, half_width, moved, turned):
    """Write where walkers are a step[W, P] later, and their velocities, in a box of half_width[P] that reflects.

    To the last bit what `entroscape.domains.reflect` gives.
    """
    for w in range(len(theta)):
        further = 0  # a loop without branches is several times faster, and hardly ever is there more to do
        for i in range(theta.shape[1]):
            place, wall = theta[w, i] + step[w, i] * velocity[w, i], half_width[i]
            clipped = _clip(place, wall)
            moved[w, i] = 2 * clipped - place
            turned[w, i] = velocity[w, i] if clipped == place else -velocity[w, i]
            further += not abs(moved[w, i]) <= wall
        if further:
            _fold(theta[w], velocity[w], step[w], half_width, moved[w], turned[w])


@_njit
def _fold(theta, velocity, step, half_width, moved, turned):
    """Put right the parameters[P] of a walker that one reflection has not brought back between the walls."""
    for i in range(len(theta)):
        wall = half_width[i]
        if abs(moved[i]) <= wall:
            continue
        left = np.fmod(theta[i] + step[i] * velocity[i], 4 * wall if wall > 0 else np.inf)
        once = 2 * _clip(left, wall) - left
        moved[i] = _clip(2 * _clip(once, wall) - once, wall)
        even = (_clip(left, wall) == left) == (_clip(once, wall) == once)
        turned[i] = velocity[i] if even else -velocity[i]


@_njit
def _clip(place, wall):
    """The nearest place between the walls; nan stays nan."""
    return wall if place > wall else -wall if place < -wall else place


@_njit_reordered
def geodesic(theta, velocity, step, norm, moved, turned):
    """Write where walkers are a step[W] later, and their velocities, on the great circles of a shell."""
    kind = theta.dtype.type
    for w in range(len(theta)):
        speed = length = along = 0.0
        for i in range(theta.shape[1]):
            speed += velocity[w, i] * velocity[w, i]
        turns = math.sqrt(speed) / norm  # radians per unit of time
        angle = turns * step[w]
        cosine = math.cos(angle)
        ahead = math.sin(angle) / turns if turns != 0 else step[w]
        c, a, b = kind(cosine), kind(ahead), kind(turns * turns * ahead)
        for i in range(theta.shape[1]):
            moved[w, i] = c * theta[w, i] + a * velocity[w, i]
            turned[w, i] = c * velocity[w, i] - b * theta[w, i]
            length += moved[w, i] * moved[w, i]
        back = kind(norm / math.sqrt(length))
        for i in range(theta.shape[1]):
            moved[w, i] *= back
            along += moved[w, i] * turned[w, i]
        radial = kind(along / (norm * norm))
        for i in range(theta.shape[1]):
            turned[w, i] -= radial * moved[w, i]
