"""Parameter layout: places, views without copies, box."""

import pytest
import torch

from entroscape.models.layout import ParameterLayout, box_half_width

LAYOUT = ParameterLayout(("a", "b", "c"), ((2, 3), (2,), (4, 1, 2)))


def test_places_follow_each_other_without_gaps():
    assert LAYOUT.counts == (6, 2, 8)
    assert LAYOUT.offsets == (0, 6, 8)
    assert LAYOUT.size == 16
    assert LAYOUT.slices == {"a": slice(0, 6), "b": slice(6, 8), "c": slice(8, 16)}


def test_views_are_row_major_and_share_memory_with_theta():
    theta = torch.arange(32.0).reshape(2, 16)
    a, b, c = LAYOUT.views(theta)
    assert [tuple(t.shape) for t in (a, b, c)] == [(2, 2, 3), (2, 2), (2, 4, 1, 2)]
    assert a[1, 1].tolist() == [19, 20, 21]
    a[0, 1, 2] = -1
    c[1, 3, 0, 1] = -2
    assert theta[0, 5] == -1 and theta[1, 15] == -2


def test_gradients_reach_theta_through_the_views():
    theta = torch.zeros(2, 16, requires_grad=True)
    a, _, c = LAYOUT.views(theta)
    (2 * a.sum() + 3 * c[0].sum()).backward()
    assert theta.grad[0].tolist() == [2] * 6 + [0] * 2 + [3] * 8
    assert theta.grad[1].tolist() == [2] * 6 + [0] * 10


def test_theta_of_another_size_is_refused():
    with pytest.raises(RuntimeError):
        LAYOUT.views(torch.zeros(2, 17))


def test_expand_gives_each_parameter_the_value_of_its_tensor():
    assert LAYOUT.expand([1.0, 2.0, 3.0]).tolist() == [1] * 6 + [2] * 2 + [3] * 8


TENSORS = ParameterLayout(("conv.weight", "conv.bias", "linear.weight"), ((4, 2, 3, 3), (4,), (9, 5)))


@pytest.mark.parametrize(
    ("rule", "counts"),
    [("width", [16, 16, 16]), ("first_dimension", [4, 4, 9]), ("fan_out", [36, 4, 9])],
)
def test_box_half_width_is_factor_over_root_of_what_the_rule_counts(rule, counts):
    half = box_half_width(rule, 3.0, 16, TENSORS)
    assert half.dtype == torch.float64
    assert torch.equal(half, TENSORS.expand([3 / count**0.5 for count in counts]))
