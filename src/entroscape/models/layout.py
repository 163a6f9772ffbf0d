"""Where each tensor of a network lies in its flat parameter vector."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from entroscape.config.model import BoxRule


@dataclass(frozen=True)
class ParameterLayout:
    """Names and shapes of a network's tensors, in the order in which theta[P] holds them, row-major.

    The order is that of `torch.nn.Module.parameters()` of the plain network.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of elements of each tensor."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Position of each tensor's first element."""
        return tuple(sum(self.counts[:i]) for i in range(len(self.counts)))

    @property
    def slices(self) -> dict[str, slice]:
        """The part of theta that each tensor occupies."""
        bounds = zip(self.names, self.offsets, self.counts, strict=True)
        return {name: slice(offset, offset + count) for name, offset, count in bounds}

    @cached_property
    def size(self) -> int:
        """Number of parameters P."""
        return sum(self.counts)

    def views(self, theta: Tensor) -> tuple[Tensor, ...]:
        """Tensors[W, *shape] of all walkers as views of theta[W, P], nothing copied."""
        # one split instead of a slice per tensor: its gradient is one concatenation, not a sum of padded copies
        parts = torch.split(theta, list(self.counts), dim=1)
        return tuple(part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True))

    def expand(self, values: Sequence[float]) -> Tensor:
        """One value per tensor -> one value per parameter, float64[P]."""
        return torch.tensor(values, dtype=torch.float64).repeat_interleave(torch.tensor(self.counts))


def box_half_width(rule: BoxRule, factor: float, width: int, layout: ParameterLayout) -> Tensor:
    """Half width[P] of the box that confines the parameters, factor / sqrt(n) with n by the rule.

    "width": n is the network's width, for every parameter; arXiv:2503.13145 so confines its spiral task, factor 2.
    "first_dimension": the first dimension of the parameter's tensor, a bias's being its length; house prices and
    sentences, factor 3.
    "fan_in": elements / first dimension of the tensor, for a bias those of the weight before it; transformers.
    "fan_out": elements / second dimension of the tensor; images, factor 2. Tensors with one dimension are not spoken
    of; here their second dimension counts as 1, so that n is their length.
    """
    if rule == "width":
        counts = [width] * len(layout.shapes)
    elif rule == "first_dimension":
        counts = [shape[0] for shape in layout.shapes]
    elif rule == "fan_in":
        counts = [math.prod(shape[1:]) for shape in layout.shapes]
        for number, shape in enumerate(layout.shapes):
            counts[number] = counts[number - 1] if len(shape) == 1 and number else counts[number]
    else:
        counts = [math.prod(shape) // (shape[1] if len(shape) > 1 else 1) for shape in layout.shapes]
    return layout.expand([factor / math.sqrt(n) for n in counts])
