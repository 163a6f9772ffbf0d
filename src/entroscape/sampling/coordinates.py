"""The landscape's coordinates (x, y) of a batch of networks, as functions of their parameters."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from entroscape.config.sampler import TestCoordinate
from entroscape.observables import accuracy, ln_loss, test_coordinate


class Coordinates(NamedTuple):
    """Coordinates of W walkers."""

    x: Tensor  # [W], ln L_train
    y: Tensor  # [W], the test metric that the map is drawn over
    accuracy: Tensor  # [W], the true test accuracy, without a gradient; nan in regression


Observe = Callable[[Tensor], Coordinates]  # theta[W, P] -> coordinates


def observer(
    logits: Callable[[Tensor, Tensor], Tensor],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    coordinate: TestCoordinate,
) -> Observe:
    """Coordinates of a network: ln of the loss on train points and `coordinate` on test points, each (x, targets)."""

    def observe(theta: Tensor) -> Coordinates:
        outputs = logits(theta, test[0])
        x = ln_loss(logits(theta, train[0]), train[1])
        with torch.no_grad():
            true = torch.full_like(x, torch.nan) if test[1].is_floating_point() else accuracy(outputs, test[1])
        return Coordinates(x, test_coordinate(outputs, test[1], coordinate), true)

    return observe
