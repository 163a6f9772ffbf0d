"""The landscape's coordinates (x, y) of a batch of networks, as functions of their parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

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
    logits: Callable[[Tensor, Any], Tensor], points: Any, targets: tuple[Tensor, Tensor], coordinate: TestCoordinate
) -> Observe:
    """Coordinates of a network: ln of the loss on train points and `coordinate` on test points.

    points: train points and after them test points, as the network takes them; targets: those of each. All go through
    the network in one pass.
    """
    train, test = targets

    def observe(theta: Tensor) -> Coordinates:
        outputs = logits(theta, points)
        learnt, new = outputs[:, : len(train)], outputs[:, len(train) :]
        x = ln_loss(learnt, train)
        with torch.no_grad():
            true = torch.full_like(x, torch.nan) if test.is_floating_point() else accuracy(new, test)
        return Coordinates(x, test_coordinate(new, test, coordinate), true)

    return observe
