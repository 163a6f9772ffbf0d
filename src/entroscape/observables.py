"""Coordinates of the landscape as functions of the logits.

Targets tell the task: integers are labels (classification, logits[W, N, C]), floats are values to be predicted
(regression, logits[W, N, 1]). All functions but the counts are differentiable.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from entroscape.config.sampler import SmoothedAccuracy, SmoothedAccuracyLogit, TestCoordinate, TrueAccuracy


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean loss[W] of logits[W, N, C] for targets[N] or targets[W, N].

    Softmax cross-entropy (natural log) for labels, mean squared error for values.
    """
    if targets.is_floating_point():
        return (logits.squeeze(2) - targets.to(logits.dtype)).square().mean(1)
    return cross_entropy(logits.mT, targets.expand(logits.shape[:2]), reduction="none").mean(1)


def ln_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """ln[W] of the mean loss; arguments as `mean_loss`. nan where logits are not finite."""
    return mean_loss(logits, targets).log()


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of each point's own class minus the largest other one, [W, N]; above zero where the point is correct."""
    index = labels.expand(logits.shape[:2]).unsqueeze(2)
    own = logits.gather(2, index).squeeze(2)
    return own - logits.scatter(2, index, -torch.inf).max(2).values


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Number[W] of points whose own class has a logit strictly above every other; a tie is wrong, and so is nan."""
    return (margins(logits, labels) > 0).sum(1)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share[W] of correct points; arguments and rule as `correct`."""
    return _share_above(margins(logits, labels))


def smoothed_accuracy(logits: Tensor, labels: Tensor, slope: float) -> Tensor:
    """Accuracy[W] with the step at margin 0 replaced by the sigmoid of slope * margin, so that it has a gradient.

    arXiv:2503.13145 samples it in place of the accuracy (slope 5 and 7); the larger the slope, the closer the two.
    """
    return _smoothed_share_above(margins(logits, labels), slope)


def accuracy_logit(value: Tensor, epsilon: float) -> Tensor:
    """ln((a + epsilon) / (1 - a + epsilon)) of accuracies a: spreads values near 0 and 1, finite at both."""
    return ((value + epsilon) / (1 - value + epsilon)).log()


def test_coordinates(logits: Tensor, targets: Tensor, coordinate: TestCoordinate) -> tuple[Tensor, Tensor]:
    """The landscape's y[W] of a configured kind, and the true accuracy[W] without a gradient, nan in regression.

    `accuracy` is y for the kind that has no gradient.
    """
    if coordinate.kind != "ln_test_loss":
        return accuracies(margins(logits, targets), coordinate)
    y = ln_loss(logits, targets)
    return y, torch.full_like(y, torch.nan) if targets.is_floating_point() else accuracy(logits.detach(), targets)


def accuracies(
    margin: Tensor, coordinate: TrueAccuracy | SmoothedAccuracy | SmoothedAccuracyLogit
) -> tuple[Tensor, Tensor]:
    """As `test_coordinates`, of the margins[W, N]."""
    true = _share_above(margin.detach())
    if coordinate.kind == "test_accuracy":
        return true, true
    value = _smoothed_share_above(margin, coordinate.slope)
    return value if coordinate.kind == "smoothed_accuracy" else accuracy_logit(value, coordinate.epsilon), true


def _share_above(margin: Tensor) -> Tensor:
    return (margin > 0).to(margin.dtype).mean(1)


def _smoothed_share_above(margin: Tensor, slope: float) -> Tensor:
    return torch.sigmoid(slope * margin).mean(1)
