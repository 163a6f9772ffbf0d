"""The batched network against a plain torch.nn module per walker."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from entroscape.models.mlp import mlp_layout, mlp_logits

SIZES = [(2, 6, 6, 6, 2), (3, 4, 2), (2, 2), (5, 7, 3, 8, 1, 4)]


def plain(sizes) -> nn.Sequential:
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, dtype=torch.float64), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def walkers(sizes, count=5) -> torch.Tensor:
    size = mlp_layout(sizes).size
    return torch.randn(count, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def points(sizes, *shape) -> torch.Tensor:
    return torch.randn(*shape, sizes[0], generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.mark.parametrize("sizes", SIZES)
def test_logits_and_gradients_equal_a_plain_module_for_every_walker(sizes):
    theta, x = walkers(sizes).requires_grad_(), points(sizes, 11)
    weights = torch.randn(5, 11, sizes[-1], generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    logits = mlp_logits(theta, x, mlp_layout(sizes))
    assert logits.shape == (5, 11, sizes[-1])
    (gradient,) = torch.autograd.grad((weights * logits**2).sum(), theta)
    for walker in range(5):
        module = plain(sizes)
        vector_to_parameters(theta[walker].detach(), module.parameters())
        expected = module(x)
        torch.testing.assert_close(logits[walker], expected, rtol=1e-12, atol=1e-12)
        (weights[walker] * expected**2).sum().backward()
        expected_gradient = parameters_to_vector([p.grad for p in module.parameters()])
        torch.testing.assert_close(gradient[walker], expected_gradient, rtol=1e-11, atol=1e-11)


def test_points_of_their_own_per_walker():
    sizes, layout = SIZES[0], mlp_layout(SIZES[0])
    theta, x = walkers(sizes), points(sizes, 5, 7)
    logits = mlp_logits(theta, x, layout)
    for walker in range(5):
        alone = mlp_logits(theta[walker : walker + 1], x[walker], layout)[0]
        torch.testing.assert_close(logits[walker], alone, rtol=1e-13, atol=1e-13)


def test_layout_of_the_published_network():
    layout = mlp_layout((2, 6, 6, 6, 2))
    assert layout.size == 116
    assert layout.names[:3] == ("layers.0.weight", "layers.0.bias", "layers.1.weight")
    assert layout.shapes[:3] == ((6, 2), (6,), (6, 6))


@pytest.mark.parametrize("sizes", [(2,), (2, 0, 2)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes"):
        mlp_layout(sizes)
