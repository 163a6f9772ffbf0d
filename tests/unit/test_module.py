"""Any torch.nn.Module as a network."""

from functools import partial

import pytest
import torch
from plain_modules import TOLERANCE, assert_close, assert_equals_modules, random
from torch import nn
from torch.nn.utils import parameters_to_vector

from entroscape.errors import ModelError
from entroscape.models.cnn import cnn_layout, cnn_logits, cnn_shape
from entroscape.models.layout import box_half_width
from entroscape.models.mlp import mlp_layout, mlp_logits
from entroscape.models.module import from_module
from entroscape.sampling.workers import Workers

BOX = partial(box_half_width, "first_dimension", 3.0, 1)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    for _ in range(4):
        layers += [nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(18, 10))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_equals_the_networks_written_for_batches(dtype):
    network, layout = from_module(mlp(), 2, BOX), mlp_layout((4, 5, 3))
    theta, shared, own = (random(*s, dtype=dtype) for s in ((3, layout.size), (7, 4), (3, 7, 4)))
    for x in (shared, own):
        assert_close(network.logits(theta, x), mlp_logits(theta.double(), x.double(), layout))
    network, layout = from_module(cnn(), 4, BOX), cnn_layout((1, 7, 7), 2, 10)
    theta, x = random(3, layout.size, dtype=dtype), random(5, 1, 7, 7, dtype=dtype)
    assert network.layout.shapes == layout.shapes
    expected = cnn_logits(theta.double(), x.double(), layout, cnn_shape(7, 7).pools)
    assert_close(network.logits(theta, x), expected)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_logits_and_gradients_equal_the_module_for_every_walker(dtype):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.norm, self.scale = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.scale * torch.tanh(self.norm(self.mix(x)))

    module = Mine()
    module(random(20, 4, dtype=torch.float32))  # running averages of something
    module.eval()
    network = from_module(module, 2, BOX, lambda generator, runs: torch.zeros(runs, 43))
    theta, x = random(3, network.layout.size, dtype=dtype), random(3, 5, 4, dtype=dtype)
    assert_equals_modules(network.logits, theta, x, module, x)
    assert network.domain.half_width.shape == (network.layout.size,)


def test_the_module_and_the_global_generator_stay_as_they_are():
    module = mlp()
    before, state = parameters_to_vector(module.parameters()).clone(), torch.get_rng_state()
    network = from_module(module, 2, BOX)
    network.initial(torch.Generator().manual_seed(1), 3)
    network.logits(random(2, network.layout.size), random(5, 4))
    assert torch.equal(parameters_to_vector(module.parameters()), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_runs_start_as_the_module_does():
    initial = from_module(mlp(), 2, BOX).initial
    first, again = (initial(torch.Generator().manual_seed(1), 200) for _ in range(2))
    assert first.dtype == torch.float64 and torch.equal(first, again)
    assert not torch.equal(first[0], first[1])
    largest = first[:, :20].abs().max().item()  # the first weight, uniform within 1 / sqrt(4)
    assert 0.49 < largest <= 0.5


def test_modules_that_cannot_be_sampled_or_started_are_refused():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

    with pytest.raises(ValueError, match="no parameters"):
        from_module(nn.ReLU(), 2, BOX)
    with pytest.raises(ValueError, match=r"Own .at the top. has parameters but no reset_parameters"):
        from_module(Own(), 2, BOX)


class Recurrent(nn.Module):
    """Two logits of sequences x[N, steps, 3]."""

    def __init__(self, kind: str, **options):
        super().__init__()
        self.read, self.decide = getattr(nn, kind)(3, 4, batch_first=True, **options), nn.Linear(4, 2)

    def forward(self, x):
        return self.decide(self.read(x)[0][:, -1, :4])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent_modules_are_those_modules_for_every_walker(kind, dtype):
    module = Recurrent(kind, num_layers=2, bidirectional=True).eval()
    network = from_module(module, 3, BOX)
    theta, own = random(3, network.layout.size, dtype=dtype), random(3, 5, 6, 3, dtype=dtype)
    assert_equals_modules(network.logits, theta, own, module, own)
    module = Recurrent(kind).eval()
    network = from_module(module, 3, BOX)
    theta, shared = random(3, network.layout.size, dtype=dtype), random(5, 6, 3, dtype=dtype)
    assert_equals_modules(network.logits, theta, shared, module, shared.expand(3, -1, -1, -1))
    assert network.initial(torch.Generator().manual_seed(1), 2).shape == (2, network.layout.size)


@pytest.mark.parametrize("recurrent", [False, True])
def test_threads_do_not_see_each_others_parameters(recurrent):
    """torch.func puts the parameters into the module while it is called."""
    network = from_module(Recurrent("GRU") if recurrent else mlp(), 3 if recurrent else 2, BOX)
    x = random(50, 6, 3) if recurrent else random(20_000, 4)
    parts = random(40, network.layout.size).split(1)
    expected = [network.logits(part, x) for part in parts]
    with Workers(4) as pool:
        for _ in range(5):
            for found, alone in zip(pool.map(lambda part: network.logits(part, x), parts), expected, strict=True):
                assert torch.equal(found, alone)


def test_parameters_whose_elements_do_not_follow_each_other_start_and_move_as_others():
    plain = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    strided = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4, 2)).to(memory_format=torch.channels_last)
    assert not strided[0].weight.is_contiguous()
    expected, found = from_module(plain, 4, BOX), from_module(strided, 4, BOX)
    starts = [network.initial(torch.Generator().manual_seed(1), 3) for network in (expected, found)]
    assert torch.equal(*starts)
    x = random(5, 2, 3, 3)
    torch.testing.assert_close(found.logits(starts[0], x), expected.logits(starts[0], x))


def test_a_parameter_without_dimensions_is_one_of_one_element():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.mix = nn.Parameter(torch.tensor(2.0)), nn.Linear(4, 2)

        def forward(self, x):
            return self.scale * self.mix(x)

    network = from_module(Scaled(), 2, BOX, lambda generator, runs: torch.zeros(runs, 11))
    assert network.layout.shapes[0] == (1,) and network.domain.half_width.shape == (11,)
    theta, x = random(3, 11), random(5, 4)
    assert_equals_modules(network.logits, theta, x, Scaled(), x.expand(3, -1, -1))


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm1d, nn.SyncBatchNorm, partial(nn.InstanceNorm1d, track_running_stats=True)]
)
def test_running_averages_of_nothing_are_refused(norm):
    """In evaluation the layer would be a scale and a shift, and the network another one than the user thinks."""
    with pytest.raises(ModelError, match=r"at 1. has seen no points.* call the module in training mode") as caught:
        from_module(nn.Sequential(nn.Linear(4, 6), norm(6), nn.Linear(6, 2)), 2, BOX)
    assert "\n" not in str(caught.value)


def test_lazy_modules_are_refused():
    with pytest.raises(ModelError, match="lazy layers, whose parameters have no shape yet: call it once"):
        from_module(nn.Sequential(nn.LazyLinear(2)), 2, BOX)
