"""The batched network against a plain torch.nn module per walker."""

from functools import partial
from itertools import pairwise

import pytest
from plain_modules import TOLERANCE, assert_equals_modules, random
from torch import nn

from entroscape.models.mlp import mlp_layout, mlp_logits

SIZES = [(2, 6, 6, 6, 2), (3, 4, 2), (2, 2), (5, 7, 3, 8, 1, 4), (20, 10, 1)]


def plain(sizes) -> nn.Sequential:
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SIZES)
def test_logits_and_gradients_equal_a_plain_module_for_every_walker(sizes, dtype):
    logits = partial(mlp_logits, layout=mlp_layout(sizes))
    theta = random(5, mlp_layout(sizes).size, seed=3, dtype=dtype)
    shared, own = random(11, sizes[0], seed=4, dtype=dtype), random(5, 7, sizes[0], seed=4, dtype=dtype)
    assert logits(theta, shared).shape == (5, 11, sizes[-1])
    assert_equals_modules(logits, theta, shared, plain(sizes), shared.expand(5, *shared.shape))
    assert_equals_modules(logits, theta, own, plain(sizes), own)


def test_layout_of_the_published_network():
    layout = mlp_layout((2, 6, 6, 6, 2))
    assert layout.size == 116
    assert layout.names[:3] == ("layers.0.weight", "layers.0.bias", "layers.1.weight")
    assert layout.shapes[:3] == ((6, 2), (6,), (6, 6))


@pytest.mark.parametrize("sizes", [(2,), (2, 0, 2)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes"):
        mlp_layout(sizes)
