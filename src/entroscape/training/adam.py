"""The step of Adam with decoupled weight decay (AdamW), for tensors of any shape."""

from typing import NamedTuple

import torch
from torch import Tensor

# as proposed (Kingma and Ba 2014) and as in torch.optim.Adam
BETAS = (0.9, 0.999)
EPSILON = 1e-8


def adam_scale(square: Tensor, steps: int, betas: tuple[Tensor | float, Tensor | float] = BETAS) -> Tensor:
    """What Adam's mean gradient is multiplied by, besides the learning rate; both means as they are after `steps`."""
    first, second = (1 - beta**steps for beta in betas)
    return 1 / (first * ((square / second).sqrt() + EPSILON))


class Means(NamedTuple):
    """Running means of gradients and of their squares, both of the shape of the parameters."""

    gradient: Tensor
    square: Tensor

    @classmethod
    def zeros(cls, like: Tensor) -> "Means":
        """Before the first step."""
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    def add(self, gradient: Tensor, betas: tuple[float, float]) -> None:
        """Take up a gradient, in place."""
        self.gradient.lerp_(gradient, 1 - betas[0])
        self.square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])

    def move(self, steps: int, betas: tuple[float, float]) -> Tensor:
        """What is subtracted from the parameters per unit of the learning rate, after `steps` gradients."""
        return self.gradient * adam_scale(self.square, steps, betas)
