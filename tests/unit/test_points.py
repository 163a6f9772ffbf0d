"""Loss and margins as one operation, against those of `entroscape.observables`."""

import pytest
import torch

from entroscape.observables import margins, mean_loss
from entroscape.sampling.points import loss_and_margins

LEARNT, LABELS = 6, torch.tensor([0, 4, 2, 2, 1, 3, 3, 0, 1, 4])
pytestmark = pytest.mark.unit


def draw(dtype: torch.dtype, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (scale * torch.randn(4, len(LABELS), 5, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()


def plain(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return mean_loss(logits[:, :LEARNT], LABELS[:LEARNT]), margins(logits[:, LEARNT:], LABELS[LEARNT:])


@pytest.mark.parametrize("scale", [1e-3, 3.0, 300.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_the_observables(dtype, scale):
    logits = draw(dtype, scale)
    found, wanted = loss_and_margins(logits, LABELS, LEARNT), plain(logits)
    torch.testing.assert_close(found, wanted)
    weights = [torch.linspace(-1, 2, value.numel(), dtype=dtype).reshape(value.shape) for value in wanted]
    gradients = [torch.autograd.grad(values, logits, weights)[0] for values in (found, wanted)]
    torch.testing.assert_close(*gradients)
    alone = [
        torch.autograd.grad(made(logits)[1].sum(), logits)[0]
        for made in (lambda given: loss_and_margins(given, LABELS, LEARNT), plain)
    ]
    torch.testing.assert_close(*alone)


def test_walkers_do_not_depend_on_their_batch():
    logits = draw(torch.float32)
    for one, all_ in zip(
        loss_and_margins(logits[1:2], LABELS, LEARNT), loss_and_margins(logits, LABELS, LEARNT), strict=True
    ):
        assert torch.equal(one[0], all_[1])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("point", [2, 7])
def test_what_is_not_finite_goes_on_as_in_the_observables(value, point):
    for place in range(5):
        logits = draw(torch.float32).detach()
        logits[1, point, place] = value
        torch.testing.assert_close(loss_and_margins(logits, LABELS, LEARNT), plain(logits), equal_nan=True)


def test_equal_logits_leave_no_margin():
    loss, margin = loss_and_margins(torch.zeros(2, len(LABELS), 5), LABELS, LEARNT)
    torch.testing.assert_close(loss, torch.full((2,), 5.0).log())
    assert not margin.any()
