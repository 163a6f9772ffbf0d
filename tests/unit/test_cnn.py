"""The batched convolutional network against a plain torch.nn module per walker."""

from functools import partial

import pytest
import torch
from plain_modules import TOLERANCE, assert_equals_modules, random
from torch import nn

from entroscape import numba_cache
from entroscape.models.cnn import cnn_layout, cnn_logits, cnn_shape, prepare

CASES = {
    "published": ((1, 28, 28), 2, 10),
    "14 x 14": ((1, 14, 14), 2, 10),
    "7 x 7": ((1, 7, 7), 3, 2),
    "5 x 5, no pooling": ((2, 5, 5), 2, 3),
    "colours, not square": ((3, 9, 13), 4, 5),
    "32 x 32": ((3, 32, 32), 1, 2),
}


def plain(shape, channels, outputs) -> nn.Sequential:
    sizes = cnn_shape(*shape[1:])
    layers = []
    for i, pool in enumerate(sizes.pools):
        layers += [nn.Conv2d(channels if i else shape[0], channels, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * sizes.last[0] * sizes.last[1], outputs))


def assert_equals_plain(case, theta, points, x):
    logits = partial(cnn_logits, layout=cnn_layout(*case), pools=cnn_shape(*case[0][1:]).pools)
    assert logits(theta, points).shape == (len(theta), x.shape[1], case[2])
    assert_equals_modules(logits, theta, points, plain(*case), x)


@pytest.fixture(params=["compiled", "banded"], autouse=True)
def _convolutions(request, monkeypatch):
    if request.param == "banded":
        monkeypatch.setattr(numba_cache, "COMPILED", False)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_logits_and_gradients_equal_a_plain_module_for_every_walker(case, dtype):
    case = CASES[case]
    theta = 0.5 * random(3, cnn_layout(*case).size, dtype=dtype)
    shared, own = random(6, *case[0], seed=2, dtype=dtype), random(3, 6, *case[0], seed=3, dtype=dtype)
    everyone = shared.expand(3, *shared.shape)
    assert_equals_plain(case, theta, shared, everyone)
    assert_equals_plain(case, theta, own, own)
    assert_equals_plain(case, theta, prepare(shared), everyone)


def test_constant_images_whose_pools_tie_everywhere():
    case = CASES["14 x 14"]
    theta, x = 0.5 * random(4, cnn_layout(*case).size), torch.ones(2, *case[0], dtype=torch.float64)
    x[1] = 0
    assert_equals_plain(case, theta, x, x.expand(4, *x.shape))
    assert_equals_plain(case, theta, x.expand(4, *x.shape), x.expand(4, *x.shape))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_walker_whose_parameters_are_not_finite_shows_it_and_leaves_the_others_alone(value):
    case = CASES["14 x 14"]
    theta, x = 0.5 * random(3, cnn_layout(*case).size), random(6, *case[0], seed=2)
    logits = partial(cnn_logits, layout=cnn_layout(*case), pools=cnn_shape(14, 14).pools)
    expected = logits(theta, x)
    theta[1] = value
    found = logits(theta, x)
    assert not found[1].isfinite().any()
    torch.testing.assert_close(found[::2], expected[::2])


def test_layout_is_that_of_the_published_network():
    case = CASES["published"]
    layout = cnn_layout(*case)
    assert layout.size == 362
    assert layout.shapes == tuple(tuple(p.shape) for p in plain(*case).parameters())
    assert layout.shapes[-2] == (10, 9 * 2)


@pytest.mark.parametrize(
    ("size", "pools", "last"), [(28, 3, 3), (14, 2, 3), (7, 1, 3), (32, 3, 4), (6, 1, 3), (5, 0, 5), (2, 0, 2)]
)
def test_poolings_leave_at_least_3_x_3(size, pools, last):
    found = cnn_shape(size, size)
    assert sum(found.pools) == pools and found.last == (last, last)
