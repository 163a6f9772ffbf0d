"""The landscape's coordinates (x, y) of a batch of networks, as functions of their parameters."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from entroscape.config.sampler import TestCoordinate
from entroscape.models.checks import check_network
from entroscape.models.network import Network
from entroscape.observables import accuracies, ln_loss, test_coordinates
from entroscape.sampling.points import loss_and_margins


class Coordinates(NamedTuple):
    """Coordinates of W walkers."""

    x: Tensor  # [W], ln L_train
    y: Tensor  # [W], the test metric that the map is drawn over
    accuracy: Tensor  # [W], the true test accuracy, without a gradient; nan in regression


Observe = Callable[[Tensor], Coordinates]  # theta[W, P] -> coordinates


def observer(
    network: Network, points: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor], coordinate: TestCoordinate
) -> Observe:
    """Coordinates of a network: ln of the loss on train points and `coordinate` on test points.

    points: train points x[N, *shape] and test points x[M, *shape]; targets: those of each. All go through the network
    in one pass. Raises DataError or ModelError where network, points and targets do not suit each other.
    """
    check_network(network, points, targets)
    (train, test), logits, together = targets, network.logits, network.prepare(torch.cat(points))
    if train.is_floating_point() or coordinate.kind == "ln_test_loss":

        def observe(theta: Tensor) -> Coordinates:
            learnt, new = logits(theta, together).split([len(train), len(test)], dim=1)
            return Coordinates(ln_loss(learnt, train), *test_coordinates(new, test, coordinate))

    else:
        labels = torch.cat(targets)

        def observe(theta: Tensor) -> Coordinates:
            loss, margin = loss_and_margins(logits(theta, together), labels, len(train))
            return Coordinates(loss.log(), *accuracies(margin, coordinate))

    return observe
