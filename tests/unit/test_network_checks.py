"""What a network must be on a task's points: seen once, where a problem is made."""

import re
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from walkers import GRID, build

from entroscape.config.sampler import Axis, LnTestLoss, SmoothedAccuracy
from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.errors import DataError, EntroscapeError, ModelError
from entroscape.models import make_network
from entroscape.models.layout import box_half_width
from entroscape.models.module import from_module
from entroscape.models.narrow_transformer import NARROW
from entroscape.sampling.coordinates import observer
from entroscape.sampling.network import build_network
from entroscape.training.problem import Problem

pytestmark = pytest.mark.unit
BOX = partial(box_half_width, "first_dimension", 3.0, 1)
DRAW = np.random.default_rng(0)
VECTORS, IMAGES, SEQUENCES = (3,), (1, 6, 6), (5, 3)
AXIS = Axis(min=-3.0, max=3.0, bin_width=0.5)
ACCURACY, TEST_LOSS = (
    SmoothedAccuracy(kind="smoothed_accuracy", slope=5.0, axis=AXIS),
    LnTestLoss(kind="ln_test_loss", axis=AXIS),
)


def task(shape=VECTORS, classes: int | None = 2, points=12) -> TaskData:
    x = DRAW.normal(size=(2 * points, *shape))
    y = DRAW.normal(size=2 * points) if classes is None else np.arange(2 * points) % classes
    return TaskData(x[:points], y[:points], x[points:], y[points:], classes, {})


def by_training(network, data: TaskData) -> None:
    Problem.of(network, data)


def by_dynamics(network, data: TaskData) -> None:
    x_train, y_train, x_test, y_test = map(torch.as_tensor, (data.x_train, data.y_train, data.x_test, data.y_test))
    observer(network, (x_train, x_test), (y_train, y_test), TEST_LOSS if data.classes is None else ACCURACY)


BORDERS = pytest.mark.parametrize("border", [by_training, by_dynamics])


def refusal(border, module: nn.Module, data: TaskData, error: type[EntroscapeError] = ModelError) -> str:
    network = from_module(module, data.x_train.ndim, BOX, lambda generator, runs: torch.zeros(runs, 1))
    with pytest.raises(error) as caught:
        border(network, data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Attention(nn.Module):
    def __init__(self, batch_first: bool):
        super().__init__()
        self.attend, self.decide = nn.MultiheadAttention(3, 1, batch_first=batch_first), nn.Linear(3, 2)

    def forward(self, x):
        return self.decide(self.attend(x, x, x, need_weights=False)[0].mean(1))


class Last(nn.Module):
    """What a recurrent layer makes of the last entry of a sequence, if the batch comes first."""

    def __init__(self, batch_first: bool):
        super().__init__()
        self.read, self.decide = nn.LSTM(3, 4, batch_first=batch_first), nn.Linear(4, 2)

    def forward(self, x):
        return self.decide(self.read(x)[0][:, -1])


def with_norm(norm: nn.Module, width=6) -> nn.Module:
    return nn.Sequential(nn.Linear(3, width), norm, nn.ReLU(), nn.Linear(width, 2))


@BORDERS
@pytest.mark.parametrize(
    ("module", "shape", "classes"),
    [
        (nn.Linear(3, 2), VECTORS, 2),
        (nn.Linear(3, 4), VECTORS, 3),
        (nn.Linear(3, 1), VECTORS, None),
        (with_norm(nn.LayerNorm(6)), VECTORS, 2),
        (with_norm(nn.GroupNorm(2, 6)), VECTORS, 2),
        (nn.Sequential(nn.Linear(3, 2), nn.LogSoftmax(dim=-1)), VECTORS, 2),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2), nn.Flatten(), nn.Linear(32, 2)), IMAGES, 2),
        (Attention(True), SEQUENCES, 2),
        (Last(True), SEQUENCES, 2),
    ],
)
def test_modules_whose_points_are_apart_are_taken(border, module, shape, classes):
    network = from_module(module, len(shape) + 1, BOX, lambda generator, runs: torch.zeros(runs, 1))
    border(network, task(shape, classes))


@BORDERS
def test_running_averages_of_points_are_taken(border):
    module = with_norm(nn.BatchNorm1d(6))
    module(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)))
    border(from_module(module, 2, BOX), task())


@BORDERS
@pytest.mark.parametrize("classes", [2, 3])
def test_one_logit_for_labels_is_refused(border, classes):
    """Compiled loops would read and write the memory behind it."""
    sentence = refusal(border, nn.Linear(3, 1), task(classes=classes))
    assert sentence.startswith(
        "the network gives one logit, but labels need one for each class: end it with two logits"
    )


@BORDERS
def test_labels_beyond_the_logits_are_refused(border):
    sentence = refusal(border, nn.Linear(3, 2), task(classes=4), DataError)
    assert sentence.startswith("labels run from 0 to 3, but a network of 2 logits knows those from 0 to 1")


@BORDERS
def test_several_outputs_for_a_number_are_refused(border):
    sentence = refusal(border, nn.Linear(3, 2), task(classes=None))
    assert "must give one value for each point, but this one gives 2" in sentence


@BORDERS
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (with_norm(nn.BatchNorm1d(6, track_running_stats=False)), VECTORS),
        (Attention(False), SEQUENCES),
        (Last(False), SEQUENCES),
    ],
    ids=["BatchNorm", "attention", "LSTM"],
)
@pytest.mark.parametrize("points", [12, 1])
def test_modules_that_mix_points_are_refused(border, module, shape, points):
    sentence = refusal(border, module, task(shape, points=points))
    assert "depends on the other points in the batch, so that test points would enter the train loss" in sentence


@BORDERS
def test_probabilities_in_place_of_logits_are_refused(border):
    for classes in (2, 5):
        module = nn.Sequential(nn.Linear(3, classes), nn.Softmax(dim=-1))
        sentence = refusal(border, module, task(classes=classes))
        assert sentence.endswith("but the loss takes logits: leave out the softmax at its end")


@BORDERS
def test_outputs_of_a_sigmoid_in_place_of_logits_are_refused(border):
    module = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid())
    assert "leave out the sigmoid at its end" in refusal(border, module, task())


class OverLargest(nn.Module):
    """Divides by the largest number of the batch, which may be a test point's."""

    def __init__(self):
        super().__init__()
        self.decide = nn.Linear(3, 2)

    def forward(self, x):
        return self.decide(x / x.abs().max())


@BORDERS
def test_a_batch_that_is_scaled_by_its_largest_number_is_refused(border):
    data = task()
    data.x_train[0] = 100.0  # among the points that the network is looked at for
    assert "depends on the other points" in refusal(border, OverLargest(), data)


class Counts(nn.Linear):
    def forward(self, x):
        return super().forward(x).to(torch.int64)


@BORDERS
def test_outputs_that_are_no_real_numbers_are_refused(border):
    assert "logits are real numbers" in refusal(border, Counts(3, 2), task())


def test_a_module_that_cannot_be_copied_says_what_to_use():
    with pytest.warns(FutureWarning, match="deprecated"):
        module = nn.utils.weight_norm(nn.Linear(3, 2))
    module(torch.zeros(1, 3))
    with pytest.raises(ModelError, match="parametrizations"):
        from_module(module, 2, BOX)


@BORDERS
def test_outputs_that_are_no_rows_of_logits_are_refused(border):
    module = nn.Sequential(nn.Linear(3, 4), nn.Flatten(0))
    assert "must give logits[N, C] for N points, but for 13 points this one gives [52]" in refusal(
        border, module, task()
    )
    assert refusal(border, nn.LSTM(3, 4), task()).startswith("the module gives a tuple, but logits are one tensor")


@BORDERS
def test_what_torch_cannot_compute_is_said_in_one_sentence(border):
    sentence = refusal(border, nn.Linear(7, 2), task())
    assert sentence.startswith("the network cannot be computed on points of the shape (13, 3) (")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y[:-1], "there are 12 test points and targets of the shape [11]"),
        (lambda y: y[:, None], "there are 12 test points and targets of the shape [12, 1]"),
        (lambda y: y.bool(), "test targets are torch.bool: give labels"),
        (lambda y: y.double(), "test targets are torch.float64: give labels"),
    ],
)
def test_targets_that_do_not_suit_the_points_are_refused(change, said):
    data, network = task(), from_module(nn.Linear(3, 2), 2, BOX)
    x_train, y_train, x_test, y_test = map(torch.as_tensor, (data.x_train, data.y_train, data.x_test, data.y_test))
    with pytest.raises(DataError, match=re.escape(said)):
        observer(network, (x_train, x_test), (y_train, change(y_test)), ACCURACY)


@BORDERS
@pytest.mark.parametrize("wrong", [-1, 5])
@pytest.mark.parametrize("width", [4, 64])
def test_tokens_that_the_network_has_not_are_refused(border, wrong, width):
    settings = NetworkSettings(kind="transformer", width=width, heads=2, mlp_ratio=2, start="nanda", box_factor=2.0)
    x, y = DRAW.integers(5, size=(20, 2)), np.arange(20) % 5
    good = TaskData(x[:10], y[:10], x[10:], y[10:], 5, {})
    if width > NARROW:  # compiled loops for narrow ones take long to compile
        border(make_network(settings, good), good)
    x[13, 1] = wrong
    with pytest.raises(
        DataError, match=r"x_test holds integers from .* tokens of this network are integers from 0 to 4"
    ):
        border(make_network(settings, good), good)


def classifier(sizes=(2, 4, 2), data: TaskData | None = None, half_width=None, movable=None):
    data = task((2,)) if data is None else data
    parameters = sum(a * b + b for a, b in pairwise(sizes))
    return build_network(list(sizes), data, np.ones(parameters) if half_width is None else half_width, GRID, movable)


def test_networks_of_the_monte_carlo_sampler_suit_their_task():
    build()
    with pytest.raises(ModelError, match="end with one logit for each class, two for two classes"):
        classifier((2, 4, 1))
    with pytest.raises(ModelError, match=r"layers of .* do not suit points of 2 numbers and 3 classes"):
        classifier((2, 4, 2), task((2,), 3))
    with pytest.raises(ModelError, match=r"layers of .* do not suit points of 3 numbers"):
        classifier((2, 4, 2), task((3,)))
    with pytest.raises(ModelError, match="this task has targets that are numbers: use molecular dynamics"):
        classifier((2, 4, 1), task((2,), None))
    with pytest.raises(ModelError, match=r"half widths of the shape .21,., but the network has 22 parameters"):
        classifier(half_width=np.ones(21))
    for movable in ([], [22], [-1, 3]):
        with pytest.raises(ModelError, match="movable must be the numbers of at least one of the parameters 0 to 21"):
            classifier(movable=np.array(movable, dtype=int))
    with pytest.raises(ModelError, match="movable must be the numbers"):
        classifier(movable=np.ones(22, dtype=bool))
    with pytest.raises(ModelError, match="half widths of the box must be at least 0"):
        classifier(half_width=-np.ones(22))


def test_windows_outside_the_grid_are_refused():
    for window in ((-1.0, 0.0), (0.0, 0.7), (0.2, 0.1)):
        with pytest.raises(ValueError, match="is not within the grid, which covers"):
            GRID.window(*window)
