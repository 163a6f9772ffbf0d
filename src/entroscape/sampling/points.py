"""Loss and margins of points that are classified: one operation on CPU, where many small ones take longer."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from entroscape.numba_cache import compiled
from entroscape.observables import margins, mean_loss
from entroscape.sampling import point_kernels


def loss_and_margins(logits: Tensor, labels: Tensor, learnt: int) -> tuple[Tensor, Tensor]:
    """Mean loss[W] of the first points of logits[W, N, C], which are learnt, and margins[W, N - learnt] of the others.

    labels: int64[N]; both results as in `entroscape.observables`.
    """
    if compiled(logits):
        return _Compiled.apply(logits, labels, learnt)
    # one split instead of two slices: its gradient is one concatenation, not a sum of padded copies
    first, others = logits.split([learnt, logits.shape[1] - learnt], dim=1)
    return mean_loss(first, labels[:learnt]), margins(others, labels[learnt:])


class _Compiled(Function):
    """`loss_and_margins` by `point_kernels`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, learnt: int) -> tuple[Tensor, Tensor]:
        given, own = logits.detach().mT.contiguous().numpy(), labels.numpy()
        (walkers, classes, points), dtype = given.shape, given.dtype
        share, top = np.empty((walkers, classes, learnt), dtype), np.empty((walkers, learnt), dtype)
        margin, rival = np.empty((walkers, points - learnt), dtype), np.empty((walkers, points - learnt), np.int32)
        loss = np.empty(walkers, dtype)
        point_kernels.shifted(given, top, share)
        torch.from_numpy(share).exp_()  # torch takes several exponentials at a time, compiled loops do not
        point_kernels.losses(given, own, top, share, np.empty(learnt, dtype), loss)
        point_kernels.margins(given, own, margin, rival)
        ctx.made = own, share, rival
        return torch.from_numpy(loss), torch.from_numpy(margin)

    @staticmethod
    def backward(ctx: Any, to_loss: Tensor, to_margin: Tensor) -> tuple[Tensor | None, ...]:
        own, share, rival = ctx.made
        walkers, classes, learnt = share.shape
        found = np.empty((walkers, classes, learnt + rival.shape[1]), share.dtype)
        arrived = to_loss.contiguous().numpy(), to_margin.contiguous().numpy()
        point_kernels.gradient(*arrived, own, share, rival, found)
        return torch.from_numpy(found).mT, None, None
