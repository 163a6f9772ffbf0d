"""What a network must be on a task's points, seen once, before anything is computed with it.

Compiled loops index with labels and tokens, and the landscape's coordinates take logits for granted. Both are looked at
here, where a problem is made, and nowhere in a step.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from entroscape.errors import DataError, ModelError
from entroscape.models.network import Network

STATES = 3  # random parameters that the logits are looked at with
POINTS = 3  # train points, and test points, that they are looked at for
FAR = 30.0  # how much farther out points are that stand beside others
# Logits of a point that differ by more, as a power of the type's precision and in units of the largest, are not the
# same: sums over other numbers of points round differently.
SAME = 1 / 3


def check_network(network: Network, points: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> None:
    """Raise DataError or ModelError unless the network gives what the coordinates need on these train and test points.

    points: x[N, *shape] and x[M, *shape], not prepared; targets: labels int64[N] and [M], or floats (regression).
    """
    if points[0].is_meta:  # has no values, and nothing is computed with it
        return
    _check_targets(points, targets)
    _check_tokens(network.tokens, points)
    theta, first = _random_states(network, points[0]), points[0][:POINTS]
    # the first train points come in the middle: neither what stands before a point nor what follows it may matter
    beside = torch.cat([first[:1].expand(2, *first.shape[1:]), points[1][:POINTS]])
    with torch.no_grad():
        joint = _logits(network, theta, torch.cat([beside, first, beside]))
        _check_shape(joint, 2 * len(beside) + len(first), targets)
        own = joint[:, len(beside) : len(beside) + len(first)]
        _check_points_apart(network, theta, first, own)
        if first.is_floating_point():  # far out, so that they change what is largest or smallest of all points
            far = torch.cat([FAR * beside + 1, -FAR * beside - 1])
            apart = _logits(network, theta, torch.cat([first, far]))[:, : len(first)]
            _check_points_apart(network, theta, first, apart)
    if not targets[0].is_floating_point():
        _check_no_probabilities(joint)


def _check_targets(points: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> None:
    """Raise DataError unless there is a target for each point, all of them integers or all of them floats."""
    for part, x, y in zip(("train", "test"), points, targets, strict=True):
        if y.ndim != 1 or len(y) == 0 or len(x) != len(y):
            raise DataError(
                f"there are {len(x)} {part} points and targets of the shape {list(y.shape)}: give at least one point, "
                "and one target for each"
            )
        if y.dtype == torch.bool or y.is_complex() or y.is_floating_point() != targets[0].is_floating_point():
            raise DataError(
                f"{part} targets are {y.dtype}: give labels of train and test points as integers, or numbers to be "
                "predicted as floats"
            )


def _check_tokens(tokens: int | None, points: Sequence[Tensor]) -> None:
    """Raise DataError unless all points are tokens that the network has."""
    if tokens is None:
        return
    for name, x in zip(("x_train", "x_test"), points, strict=True):
        if x.is_floating_point() or int(x.min()) < 0 or int(x.max()) >= tokens:
            found = "floats" if x.is_floating_point() else f"integers from {int(x.min())} to {int(x.max())}"
            raise DataError(
                f"{name} holds {found}, but the tokens of this network are integers from 0 to {tokens - 1}: number the "
                "tokens from 0, and give the task as many classes as there are tokens"
            )


def _random_states(network: Network, x: Tensor) -> Tensor:
    """Random parameters [STATES, P] in the network's domain, in the precision of the points."""
    dtype = x.dtype if x.is_floating_point() else torch.float64
    domain = network.domain.to("cpu", torch.float64)
    normal = torch.randn(STATES, network.layout.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return domain.project(0.5 * domain.scale(normal) * normal).to(x.device, dtype)


def _logits(network: Network, theta: Tensor, x: Tensor) -> Tensor:
    """Logits of points x[N, *shape]; raises ModelError where they cannot be computed."""
    try:
        return network.logits(theta, x)
    except ModelError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(
            f"the network cannot be computed on points of the shape {tuple(x.shape)} ({reason}): it must give "
            "logits[N, C] of x[N, ...] for any N, without branches on values where it is a torch.nn.Module"
        ) from error


def _check_shape(logits: Tensor, points: int, targets: tuple[Tensor, Tensor]) -> None:
    """Raise ModelError unless there is a logit per class for each of so many points, or one value in regression."""
    if not logits.is_floating_point():
        raise ModelError(f"the network gives {logits.dtype}, but logits are real numbers: let it return floats")
    if logits.ndim != 3 or logits.shape[:2] != (STATES, points):
        raise ModelError(
            f"a network must give logits[N, C] for N points, but for {points} points this one gives "
            f"{list(logits.shape[1:])}: let it return a row for each point"
        )
    outputs = logits.shape[2]
    if targets[0].is_floating_point():
        if outputs != 1:
            raise ModelError(
                f"a network whose targets are numbers must give one value for each point, but this one gives {outputs}"
                ": end it with one output, or give labels that are integers"
            )
        return
    _check_labels(torch.cat(targets), outputs)


def _check_labels(labels: Tensor, logits: int) -> None:
    """Raise ModelError for a network of less than two logits, DataError for labels int64[N] that are none of them."""
    if logits < 2:
        raise ModelError(
            "the network gives one logit, but labels need one for each class: end it with two logits for two classes "
            "(0 and z in place of a single logit z give the same probabilities)"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= logits:
        raise DataError(
            f"labels run from {lowest} to {highest}, but a network of {logits} logits knows those from 0 to "
            f"{logits - 1}: number the classes from 0, or give the network more logits"
        )


def _check_points_apart(network: Network, theta: Tensor, first: Tensor, own: Tensor) -> None:
    """Raise ModelError where the logits `own` of the first points are others without the points beside them."""
    try:
        alone = network.logits(theta, first)
    except (RuntimeError, ValueError):  # such as a normalisation over points that refuses to work on few of them
        alone = torch.full_like(own, torch.nan)
    allowed = torch.finfo(own.dtype).eps ** SAME * own.abs().max()
    if own.isfinite().all() and not (alone - own).abs().max() <= allowed:
        raise ModelError(
            "the network's output for a point depends on the other points in the batch, so that test points would "
            "enter the train loss: take out what mixes points, such as BatchNorm without running statistics (use "
            "LayerNorm or GroupNorm), or a recurrent or attention layer without batch_first=True"
        )


def _check_no_probabilities(logits: Tensor) -> None:
    """Raise ModelError where all rows lie between 0 and 1 and sum to 1, as no logits do by chance."""
    rounding = torch.finfo(logits.dtype).eps ** 0.5
    sums = (logits.sum(2) - 1).abs()
    if logits.min() >= 0 and logits.max() <= 1 and sums.max() <= rounding:
        raise ModelError(
            "the network gives probabilities, rows that lie between 0 and 1 and sum to 1, but the loss takes logits: "
            "leave out the softmax at its end"
        )
    if logits.min() > 0 and logits.max() < 1:
        raise ModelError(
            "the network gives numbers between 0 and 1 alone, as a sigmoid does, but the loss takes logits: leave out "
            "the sigmoid at its end"
        )
