"""The network of a variant: made from its settings and the shapes of its data."""

import numpy as np
import pytest
import torch

from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.errors import ConfigError
from entroscape.models import make_network

IMAGES, VECTORS = (1, 14, 14), (20,)


def task(shape, classes) -> TaskData:
    x = np.random.Generator(np.random.PCG64(1)).normal(size=(6, *shape))
    y = np.zeros(6) if classes is None else np.zeros(6, dtype=np.int64)
    return TaskData(x, y, x, y, classes, {})


def settings(kind, **others) -> NetworkSettings:
    depth = 1 if kind == "mlp" else None
    return NetworkSettings(kind=kind, **dict(depth=depth, width=4, box_rule="fan_out", box_factor=2.0) | others)


@pytest.mark.parametrize(
    ("kind", "shape", "classes"),
    [("mlp", VECTORS, None), ("mlp", VECTORS, 3), ("cnn", IMAGES, 10), ("residual", IMAGES, 2), ("cnn", IMAGES, None)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_networks_of_all_kinds_follow_the_data(kind, shape, classes, dtype):
    data = task(shape, classes)
    network = make_network(settings(kind), data)
    theta = network.initial(torch.Generator().manual_seed(1), 3)
    assert theta.shape == (3, network.layout.size) and network.domain.half_width.shape == (network.layout.size,)
    x, theta = torch.as_tensor(data.x_train).to(dtype), theta.to(dtype)
    logits = network.logits(theta, x)
    assert logits.shape == (3, 6, classes or 1) and logits.dtype == dtype
    torch.testing.assert_close(network.logits(theta, network.prepare(x)), logits)
    torch.testing.assert_close(network.logits(theta, x.expand(3, *x.shape)), logits, rtol=1e-4, atol=1e-5)


def test_box_and_start_are_those_of_the_settings():
    data = task(VECTORS, None)
    network = make_network(settings("mlp", box_rule="first_dimension", box_factor=3.0, start="xavier"), data)
    assert network.layout.shapes == ((4, 20), (4,), (1, 4), (1,))
    assert torch.equal(network.domain.half_width.unique(), torch.tensor([1.5, 3.0], dtype=torch.float64))
    theta = network.initial(torch.Generator().manual_seed(1), 3)
    assert not theta[:, network.layout.slices["layers.0.bias"]].any()


@pytest.mark.parametrize(("kind", "shape"), [("mlp", IMAGES), ("cnn", VECTORS), ("residual", VECTORS)])
def test_points_of_the_wrong_kind_are_refused(kind, shape):
    with pytest.raises(ConfigError, match=rf"model.kind {kind} takes .* but the data's points have shape"):
        make_network(settings(kind), task(shape, 2))
