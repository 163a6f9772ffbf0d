"""Time steps of walkers in a potential U(theta) inside a box or on a shell; units with kT = 1.

A step[W, P] that differs between parameters is a mass for each of them, (step / common step)^-2, with velocities in
units of their thermal spread. On a shell all parameters of a walker have the same step.

Each integrator advances a `Phase` by one step per call and reports the energy that its deterministic part has gained:
zero for an exact step, and what a Metropolis test would judge. No operation waits for the host.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from entroscape.domains import Domain


class Evaluation(NamedTuple):
    """What the walkers' places give: coordinates, true accuracy (nan in regression), potential and force."""

    x: Tensor  # [W]
    y: Tensor  # [W]
    accuracy: Tensor  # [W]
    energy: Tensor  # [W], U in kT
    force: Tensor  # [W, P], -dU/dtheta


class Phase(NamedTuple):
    """W walkers with P parameters: where they are, how fast they move, and what their places give."""

    theta: Tensor  # [W, P]
    velocity: Tensor  # [W, P]
    at: Evaluation


class Moved(NamedTuple):
    """A step's result, and the energy[W] that its deterministic part has gained."""

    phase: Phase
    gained: Tensor
    accepted: Tensor  # [W], probability of the Metropolis test, whether it was made or not


Evaluate = Callable[[Tensor], Evaluation]


class Thermostat(NamedTuple):
    """Langevin thermostat at kT = 1; without a friction its velocities are always fresh."""

    friction: float | None
    generator: Generator

    def noise(self, like: Tensor) -> Tensor:
        """Normal numbers of the shape and type of a tensor."""
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=like.device)

    def refreshed(self, theta: Tensor, velocity: Tensor, time: Tensor, domain: Domain) -> Tensor:
        """Velocities[W, P] of walkers at theta after this time[W, P] in the bath alone, which is solved exactly."""
        fresh = domain.tangent(theta, self.noise(velocity))
        if self.friction is None:
            return fresh
        decay = (-self.friction * time).exp()
        return decay * velocity + (1 - decay**2).sqrt() * fresh


def first_order(phase: Phase, step: Tensor, domain: Domain, evaluate: Evaluate, thermostat: Thermostat) -> Moved:
    """Kick, friction and noise, then drift: symplectic Euler, as published (arXiv:2503.13145). step[W, P]."""
    assert thermostat.friction is not None, "the configuration sees to it"
    kicked = phase.velocity + step * domain.tangent(phase.theta, phase.at.force)
    noise = (2 * thermostat.friction * step).sqrt() * domain.tangent(phase.theta, thermostat.noise(kicked))
    velocity = kicked - step * thermostat.friction * phase.velocity + noise
    theta, velocity = domain.drift(phase.theta, velocity, step)
    at = evaluate(theta)
    gained = at.energy - phase.at.energy + _kinetic(kicked) - _kinetic(phase.velocity)
    return Moved(Phase(theta, velocity, at), gained, _metropolis(gained))


def baoab(phase: Phase, step: Tensor, domain: Domain, evaluate: Evaluate, thermostat: Thermostat) -> Moved:
    """Half kick, half drift, friction and noise, half drift, half kick. step[W, P].

    Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34: second order, with small errors in averages over
    positions, which are all that a landscape needs. On a shell its drifts follow great circles and its kicks and noise
    the tangent (Leimkuhler and Matthews, Proc. R. Soc. A 472, 20160138, 2016).
    """
    half = step / 2
    kicked = phase.velocity + half * domain.tangent(phase.theta, phase.at.force)
    theta, velocity = domain.drift(phase.theta, kicked, half)
    thermal = thermostat.refreshed(theta, velocity, step, domain)
    theta, drifted = domain.drift(theta, thermal, half)
    at = evaluate(theta)
    velocity = drifted + half * domain.tangent(theta, at.force)
    kinetic = _kinetic(kicked) - _kinetic(phase.velocity) + _kinetic(velocity) - _kinetic(drifted)
    gained = at.energy - phase.at.energy + kinetic
    return Moved(Phase(theta, velocity, at), gained, _metropolis(gained))


def hmc(
    phase: Phase,
    step: Tensor,
    domain: Domain,
    evaluate: Evaluate,
    thermostat: Thermostat,
    leapfrog_steps: int,
    jitter: float,
) -> Moved:
    """A Hamiltonian trajectory, kept or dropped by a Metropolis test. step[W, P].

    From fresh velocities (Duane, Kennedy, Pendleton and Roweth, Phys. Lett. B 195, 216, 1987), or with a friction from
    those of the last trajectory, which turn round where it is dropped (Horowitz, Phys. Lett. B 268, 247, 1991): then
    walkers keep their direction for many trajectories. It samples exp(-U) whatever the step. Each walker's step is
    spread by +- `jitter`, so that no trajectory has a period of the motion for its length.
    """
    uniform = torch.rand(step.shape[0], 2, generator=thermostat.generator, dtype=step.dtype, device=step.device)
    step = step * (1 + jitter * (2 * uniform[:, :1] - 1))
    start = velocity = thermostat.refreshed(phase.theta, phase.velocity, leapfrog_steps * step, domain)
    theta, at = phase.theta, phase.at
    kick = step / 2
    for _ in range(leapfrog_steps):
        velocity = velocity + kick * domain.tangent(theta, at.force)
        theta, velocity = domain.drift(theta, velocity, step)
        at = evaluate(theta)
        kick = step  # the half kicks of two steps are one
    velocity = velocity + step / 2 * domain.tangent(theta, at.force)
    gained = at.energy - phase.at.energy + _kinetic(velocity) - _kinetic(start)
    probability = _metropolis(gained)
    keep = uniform[:, 1] < probability
    at = Evaluation(*(choose(keep, new, old) for new, old in zip(at, phase.at, strict=True)))
    kept = Phase(choose(keep, theta, phase.theta), choose(keep, velocity, -start), at)
    return Moved(kept, gained, probability)


def choose(keep: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """The new value for walkers where keep[W] is true, the old for others; [W] or [W, P]."""
    return torch.where(keep if new.dim() == 1 else keep.unsqueeze(1), new, old)


def _kinetic(velocity: Tensor) -> Tensor:
    """Kinetic energy[W], in kT; summed in double precision, since differences of it are wanted."""
    return velocity.square().sum(1, dtype=torch.float64) / 2


def _metropolis(gained: Tensor) -> Tensor:
    """Probability[W] of accepting a step that gained this energy; 0 where it is not finite."""
    return torch.nan_to_num((-gained).clamp(max=0).exp(), nan=0.0)
