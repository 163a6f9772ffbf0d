"""Coordinates of the landscape as functions of the logits."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean softmax cross-entropy[W], natural log, of logits[W, N, C] for labels[N] or labels[W, N]."""
    return cross_entropy(logits.mT, labels.expand(logits.shape[:2]), reduction="none").mean(1)


def ln_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """ln[W] of the mean cross-entropy; arguments as `mean_loss`. Differentiable; nan where logits are not finite."""
    return mean_loss(logits, labels).log()


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Number[W] of points whose own class has a logit strictly above every other; a tie is wrong, and so is nan."""
    index = labels.expand(logits.shape[:2]).unsqueeze(2)
    own = logits.gather(2, index).squeeze(2)
    others = logits.scatter(2, index, -torch.inf).amax(2)
    return (own > others).sum(1)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share[W] of correct points; arguments and rule as `correct`."""
    return correct(logits, labels).to(logits.dtype) / logits.shape[1]
