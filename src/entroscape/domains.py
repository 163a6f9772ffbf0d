"""Where the parameters of walkers may lie, and how they move there: a box, or the shell of all vectors of one length.

theta[W, P] are places of W walkers, velocity[W, P] their velocities. Nothing here waits for the host, and no shape
depends on a value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from entroscape import domain_kernels
from entroscape.numba_cache import compiled

Motion = Literal["geodesic", "rescaling"]

ROUNDING = 32  # in units of the type's precision, how far from the shell a point that was put on it may lie


@dataclass(frozen=True, eq=False)
class Box:
    """Every parameter within +- its half_width[P]; walls reflect."""

    half_width: Tensor  # [P], or [] for all the same
    name: ClassVar[str] = "box"

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return self.half_width.dtype

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.half_width.device

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Box":
        """The same box for parameters on another device or of another type."""
        return Box(self.half_width.to(device=device, dtype=dtype))

    def project(self, theta: Tensor) -> Tensor:
        """The nearest points of the box."""
        return theta.clamp(-self.half_width, self.half_width)

    def draw(self, count: int, parameters: int, generator: torch.Generator) -> Tensor:
        """Places[count, parameters] drawn evenly from the box."""
        unit = torch.rand(count, parameters, generator=generator, dtype=self.dtype, device=self.device)
        return self.project((2 * unit - 1) * self.half_width)

    def inside(self, theta: Tensor) -> Tensor:
        """Whether walkers are in the box, bool[W]; false where a parameter is nan."""
        return (theta.abs() <= self.half_width).all(dim=1)

    def tangent(self, theta: Tensor, vector: Tensor) -> Tensor:
        """The part of vector[W, P] along which walkers at theta can move: all of it."""
        return vector

    def freedom(self, theta: Tensor) -> Tensor:
        """Mean square of each thermal velocity at theta in kT, [W, P]: how many degrees of freedom a parameter has."""
        return torch.ones_like(theta)

    def scale(self, theta: Tensor) -> Tensor:
        """How large parameters are, [P] or []: half the width of the box."""
        return self.half_width

    def drift(self, theta: Tensor, velocity: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Places and velocities a step[W, P] later: straight on, and back from the walls."""
        if not compiled(theta):
            return reflect(theta + step * velocity, velocity, self.half_width)
        wall = self.half_width.expand(theta.shape[1]).contiguous()
        return _written(domain_kernels.straight, theta, velocity, step.expand_as(theta), wall.numpy())


@dataclass(frozen=True, eq=False)
class Shell:
    """All vectors of length `norm`, where all parameters of a walker must have the same time step.

    motion: "geodesic" follows great circles with velocities along the shell. "rescaling" is the published motion
    (arXiv:2505.11411): straight on, then all parameters rescaled to the norm, with velocities that keep a part across
    the shell. That part turns walkers ever further into their own direction, which makes them colder along the shell:
    it does not sample the shell at kT = 1 (docs/method.md).
    """

    norm: Tensor  # []
    motion: Motion = "geodesic"
    name: ClassVar[str] = "shell"

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return self.norm.dtype

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.norm.device

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Shell":
        """The same shell for parameters on another device or of another type."""
        return Shell(self.norm.to(device=device, dtype=dtype), self.motion)

    def project(self, theta: Tensor) -> Tensor:
        """The nearest points of the shell; nan for a vector of zeros, which has none."""
        return theta * (self.norm / _length(theta)).to(theta.dtype)

    def draw(self, count: int, parameters: int, generator: torch.Generator) -> Tensor:
        """Places[count, parameters] drawn evenly from the shell."""
        return self.project(torch.randn(count, parameters, generator=generator, dtype=self.dtype, device=self.device))

    def inside(self, theta: Tensor) -> Tensor:
        """Whether walkers are on the shell, but for rounding, bool[W]; false where a parameter is nan."""
        allowed = ROUNDING * torch.finfo(theta.dtype).eps * self.norm.double()
        return (_length(theta).squeeze(1) - self.norm).abs() <= allowed

    def tangent(self, theta: Tensor, vector: Tensor) -> Tensor:
        """The part of vector[W, P] along which walkers at theta can move; all of it in the published motion."""
        if self.motion == "rescaling":
            return vector
        return vector - (theta * vector).sum(1, keepdim=True) / self.norm**2 * theta

    def freedom(self, theta: Tensor) -> Tensor:
        """Mean square of each thermal velocity at theta in kT, [W, P]: P - 1 in all along the shell."""
        if self.motion == "rescaling":
            return torch.ones_like(theta)
        return 1 - (theta / self.norm).square()

    def scale(self, theta: Tensor) -> Tensor:
        """How large parameters are, []: the root of their mean square."""
        return self.norm / math.sqrt(theta.shape[1])

    def drift(self, theta: Tensor, velocity: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Places and velocities a step[W, P] later, of which the first column counts."""
        step = step[:, :1]
        if self.motion == "rescaling":
            return self.project(theta + step * velocity), velocity
        if compiled(theta):
            return _written(domain_kernels.geodesic, theta, velocity, step[:, 0], float(self.norm))
        return self.geodesic(theta, velocity, step)

    def geodesic(self, theta: Tensor, velocity: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """`drift` along great circles, for steps[W, 1]."""
        turns = _length(velocity).to(theta.dtype) / self.norm  # radians per unit of time
        angle = turns * step
        cosine, along = angle.cos(), step * torch.sinc(angle / math.pi)  # sin(angle) / turns, also where it is at rest
        # what rounding takes off the shell in a step is put back, so that it does not add up
        moved = self.project(cosine * theta + along * velocity)
        return moved, self.tangent(moved, cosine * velocity - turns**2 * along * theta)


Domain = Box | Shell


def reflect(theta: Tensor, velocity: Tensor, half_width: Tensor) -> tuple[Tensor, Tensor]:
    """Fold places that have left the box back in, however far they went; each reflection turns the velocity.

    theta and velocity are [W, P]. A parameter that is not finite gets a place of nan; a half width of 0 holds its
    parameter at 0.

    Four half widths are the period of the motion between two walls. What is left of a place beyond it takes two
    reflections at most, and neither remainder nor reflections are rounded: both are exact in floating point.
    """
    left = theta.fmod(torch.where(half_width > 0, 4 * half_width, torch.inf))
    clipped = left.clamp(-half_width, half_width)
    once = torch.sub(left, clipped, alpha=2)  # mirrored at a wall if beyond it, with the sign turned
    again = once.clamp(-half_width, half_width)
    twice = torch.sub(once, again, alpha=2)  # likewise, so that the sign is right
    even = (clipped == left) == (again == once)
    return twice.clamp(-half_width, half_width), torch.where(even, velocity, -velocity)


def _written(
    motion: Callable[..., None], theta: Tensor, velocity: Tensor, step: Tensor, bounds: Any
) -> tuple[Tensor, Tensor]:
    """Places and velocities that a compiled motion writes."""
    moved, turned = torch.empty_like(theta), torch.empty_like(theta)
    given = (values.detach().contiguous().numpy() for values in (theta, velocity, step))
    motion(*given, bounds, moved.numpy(), turned.numpy())
    return moved, turned


def _length(vectors: Tensor) -> Tensor:
    """Length of each of vectors[W, P], float64[W, 1]: in double precision, since there may be many parameters."""
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True, dtype=torch.float64)
