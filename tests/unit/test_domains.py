"""Box and shell: nearest points, directions of motion, and drifts that keep what they should."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from entroscape import numba_cache
from entroscape.domains import Box, Shell, reflect

DOUBLE = torch.float64


def shell(norm=3.0, motion="geodesic", dtype=DOUBLE) -> Shell:
    return Shell(torch.tensor(norm, dtype=dtype), motion)


def normal(*shape: int, seed=0, dtype=DOUBLE) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(dtype)


def moving(domain: Shell, walkers=40, parameters=7, seed=0, dtype=DOUBLE) -> tuple[Tensor, Tensor]:
    """Places on the shell and velocities along it."""
    theta = domain.project(normal(walkers, parameters, seed=seed, dtype=dtype))
    return theta, domain.tangent(theta, normal(walkers, parameters, seed=seed + 1, dtype=dtype))


def steps(size: float, walkers=40) -> Tensor:
    return torch.full((walkers, 1), size, dtype=DOUBLE)


sizes = st.floats(-5, 5, allow_nan=False, width=64)
norms = st.floats(0.1, 100, width=64)
seeds = st.integers(0, 1000)


@given(norms, sizes, seeds)
@settings(deadline=None, max_examples=50)
def test_geodesics_keep_norm_speed_and_tangency(norm, size, seed):
    domain = shell(norm)
    theta, velocity = moving(domain, seed=seed)
    place, after = domain.drift(theta, velocity, steps(size))
    assert domain.inside(place).all()
    torch.testing.assert_close(after.norm(dim=1), velocity.norm(dim=1), rtol=1e-12, atol=0)
    assert ((place * after).sum(1).abs() < 1e-12 * norm * after.norm(dim=1)).all()


@given(norms, sizes, seeds)
@settings(deadline=None, max_examples=50)
def test_a_drift_with_the_velocity_turned_leads_back(norm, size, seed):
    domain = shell(norm)
    theta, velocity = moving(domain, seed=seed)
    place, after = domain.drift(theta, velocity, steps(size))
    back, turned = domain.drift(place, -after, steps(size))
    torch.testing.assert_close(back, theta, rtol=0, atol=1e-11 * norm * (1 + abs(size) / norm))
    torch.testing.assert_close(turned, -velocity, rtol=0, atol=1e-11 * (1 + abs(size) / norm))


@given(norms, sizes, sizes, seeds)
@settings(deadline=None, max_examples=50)
def test_two_drifts_are_one_of_both_times(norm, first, second, seed):
    domain = shell(norm)
    theta, velocity = moving(domain, seed=seed)
    once = domain.drift(theta, velocity, steps(first + second))
    twice = domain.drift(*domain.drift(theta, velocity, steps(first)), steps(second))
    slack = 1e-11 * (1 + (abs(first) + abs(second)) / norm)
    torch.testing.assert_close(twice[0], once[0], rtol=0, atol=slack * norm)
    torch.testing.assert_close(twice[1], once[1], rtol=0, atol=slack)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("size", [0.0, 0.3, 5.0])
def test_compiled_motion_is_that_of_torch(dtype, size):
    theta, velocity = moving(shell(dtype=dtype), dtype=dtype)
    velocity[3] = 0
    step = size * torch.linspace(0.5, 1.5, 40, dtype=dtype).unsqueeze(1)
    torch.testing.assert_close(
        shell(dtype=dtype).drift(theta, velocity, step), shell(dtype=dtype).geodesic(theta, velocity, step)
    )
    box = Box(torch.linspace(0.5, 2, 7, dtype=dtype))
    theta = box.project(theta)
    theta[4, 2], velocity[5, 1] = torch.nan, torch.inf
    velocity *= torch.tensor([1, 1, 100, 1, 1, 10, 1], dtype=dtype)  # some past many walls
    found, wanted = box.drift(theta, velocity, step), reflect(theta + step * velocity, velocity, box.half_width)
    assert all(torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in zip(found, wanted, strict=True))
    assert size == 0 or (found[1] != velocity).any()


def test_a_quarter_of_a_great_circle_ends_where_the_velocity_points():
    theta, velocity = torch.tensor([[2.0, 0.0, 0.0]]).double(), torch.tensor([[0.0, 0.0, 4.0]]).double()
    place, after = shell(2.0).drift(theta, velocity, steps(math.pi / 4, 1))
    torch.testing.assert_close(place, torch.tensor([[0.0, 0.0, 2.0]]).double(), rtol=0, atol=1e-15)
    torch.testing.assert_close(after, torch.tensor([[-4.0, 0.0, 0.0]]).double(), rtol=0, atol=1e-15)


def test_a_walker_at_rest_stays():
    domain = shell()
    theta, velocity = moving(domain)
    place, after = domain.drift(theta, 0 * velocity, steps(0.5))
    torch.testing.assert_close(place, theta, rtol=1e-15, atol=1e-15)
    assert (after == 0).all()


def test_rounding_does_not_add_up_in_single_precision():
    domain = shell(30.0, dtype=torch.float32)
    theta, velocity = moving(domain, 4, 20_000, dtype=torch.float32)
    speed = velocity.double().norm(dim=1)
    for _ in range(2000):
        theta, velocity = domain.drift(theta, velocity, torch.full((4, 1), 0.01))
    assert theta.dtype == velocity.dtype == torch.float32
    assert domain.inside(theta).all()
    torch.testing.assert_close(velocity.double().norm(dim=1), speed, rtol=1e-4, atol=0)
    assert ((theta * velocity).double().sum(1).abs() < 1e-3 * speed).all()


def test_the_published_motion_goes_straight_and_keeps_its_velocity():
    domain = shell(2.0, "rescaling")
    theta, velocity = domain.project(normal(5, 3)), normal(5, 3, seed=1)
    assert torch.equal(domain.tangent(theta, velocity), velocity) and (domain.freedom(theta) == 1).all()
    place, after = domain.drift(theta, velocity, steps(0.3, 5))
    straight = theta + 0.3 * velocity
    torch.testing.assert_close(place, 2.0 * straight / straight.norm(dim=1, keepdim=True))
    assert torch.equal(after, velocity) and domain.inside(place).all()


def test_tangent_takes_off_the_radial_part_and_freedom_counts_what_is_left():
    domain = shell()
    theta, vectors = domain.project(normal(1, 4)), normal(200_000, 4, seed=1)
    along = domain.tangent(theta.expand_as(vectors), vectors)
    assert (along @ theta[0]).abs().max() < 1e-13 * 200
    torch.testing.assert_close(domain.tangent(theta, along), along)
    assert float(domain.freedom(theta).sum()) == pytest.approx(3)
    torch.testing.assert_close(along.square().mean(0), domain.freedom(theta)[0], rtol=0.02, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_projected_points_are_inside_and_stay_where_they_are(dtype):
    for domain in (shell(30.0, dtype=dtype), Box(torch.full((5000,), 0.3, dtype=dtype))):
        theta = domain.project(normal(6, 5000, dtype=dtype))
        assert theta.dtype == dtype and domain.inside(theta).all()
        torch.testing.assert_close(domain.project(theta), theta)
        assert not domain.inside(1.001 * theta).any()
        theta[2, 3] = torch.nan
        assert domain.inside(theta).tolist() == [True, True, False, True, True, True]


def test_a_box_bounds_each_parameter_and_leaves_vectors_as_they_are():
    box = Box(torch.tensor([1.0, 2.0]).double())
    theta = torch.tensor([[1.5, -1.5], [0.5, 2.5]]).double()
    assert box.project(theta).tolist() == [[1.0, -1.5], [0.5, 2.0]]
    assert box.tangent(theta, theta) is theta and box.inside(theta).tolist() == [False, False]
    place, velocity = box.drift(theta.new_zeros(1, 2), torch.tensor([[5.0, 5.0]]).double(), steps(0.3, 1))
    assert place.tolist() == [[0.5, 1.5]] and velocity.tolist() == [[-5.0, 5.0]]


@pytest.fixture(params=["compiled", "torch"])
def path(request, monkeypatch) -> str:
    """Drifts by the compiled loop, then by torch."""
    monkeypatch.setattr(numba_cache, "COMPILED", request.param == "compiled")
    return request.param


UNEQUAL = torch.tensor([2.0, 0.1, 1e-3, 0.37], dtype=DOUBLE)


def uniform_in(half_width: Tensor, walkers: int, seed=0) -> Tensor:
    share = torch.rand(walkers, len(half_width), generator=torch.Generator().manual_seed(seed), dtype=half_width.dtype)
    return (2 * share - 1) * half_width


def folded(place: float, half_width: float) -> tuple[float, int]:
    """A place between the walls, and 1 or -1 for an even or odd number of reflections, in exact arithmetic."""
    place, half_width = Fraction(place), Fraction(half_width)
    reflections = math.floor((place + half_width) / (2 * half_width))
    sign = (-1) ** reflections
    return float(sign * (place - 2 * half_width * reflections)), sign


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("size", [0.01, 1.0, 300.0])
def test_a_drift_of_any_length_is_folded_exactly(path, dtype, size):
    box = Box(UNEQUAL.to(dtype))
    theta, velocity = box.project(uniform_in(box.half_width, 200)), normal(200, 4, seed=1, dtype=dtype)
    step = torch.tensor(size, dtype=dtype).expand(200, 4)
    place, after = box.drift(theta, velocity, step)
    straight = theta + step * velocity
    for found, turned, unfolded, before in zip(place, after, straight, velocity, strict=True):
        wanted, signs = zip(*map(folded, unfolded.tolist(), box.half_width.tolist()), strict=True)
        assert found.tolist() == list(wanted)
        assert torch.equal(turned, before * torch.tensor(signs))
    assert box.inside(place).all()


@pytest.mark.parametrize("size", [0.003, 0.3, 40.0])
def test_free_motion_fills_unequal_boxes_evenly_and_rests_on_no_wall(path, size):
    walkers, cells, box = 40_000, 20, Box(UNEQUAL)
    theta, velocity = uniform_in(UNEQUAL, walkers), normal(walkers, 4, seed=1)
    for _ in range(3):
        theta, velocity = box.drift(theta, velocity, torch.full((walkers, 4), size, dtype=DOUBLE))
    assert (theta.abs() < UNEQUAL).all(), "a point of measure zero"
    counts = np.array([np.histogram(place, cells, (-1, 1))[0] for place in (theta / UNEQUAL).T.numpy()])
    expected = walkers / cells
    assert (((counts - expected) ** 2 / expected).sum(axis=1) < chi2.ppf(0.9999, cells - 1)).all()
    assert (velocity.mean(0).abs() < 5 / walkers**0.5).all()


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_a_drift_between_walls_is_reversible_and_adds_up(path, dtype, size):
    box, step = Box(UNEQUAL.to(dtype)), torch.tensor(size, dtype=dtype).expand(500, 4)
    theta, velocity = uniform_in(box.half_width, 500), normal(500, 4, seed=1, dtype=dtype)
    place, after = box.drift(theta, velocity, step)
    back, turned = box.drift(place, -after, step)
    # only the sum of place and step rounds; who is that near to a wall may be on either side of it
    rounding = 2 * torch.finfo(dtype).eps * (size * velocity.abs() + UNEQUAL.to(dtype))
    assert ((back - theta).abs() <= rounding).all()
    clear = (box.half_width - theta.abs() > 2 * rounding) & (box.half_width - place.abs() > 2 * rounding)
    assert torch.equal(turned[clear], -velocity[clear]) and clear[:, 0].sum() > 450
    once, _ = box.drift(theta, velocity, 2 * step)
    twice, _ = box.drift(place, after, step)
    assert ((twice - once).abs() <= 4 * rounding).all()


def test_walls_at_zero_and_far_away_and_values_that_are_not_finite(path):
    half_width = torch.tensor([0.0, torch.inf, 1.0, 1.0, 0.0, 1.0], dtype=DOUBLE)
    theta = torch.tensor([[0.0, 3.0, torch.nan, 0.0, 0.0, 1.0]], dtype=DOUBLE)
    velocity = torch.tensor([[5.0, 1e9, 1.0, torch.inf, torch.nan, 0.0]], dtype=DOUBLE)
    place, after = Box(half_width).drift(theta, velocity, torch.ones(1, 6, dtype=DOUBLE))
    torch.testing.assert_close(
        place, torch.tensor([[0.0, 1e9 + 3, torch.nan, torch.nan, torch.nan, 1.0]]).double(), equal_nan=True
    )
    assert after[0, :4].abs().tolist() == [5.0, 1e9, 1.0, torch.inf] and after[0, 5] == 0


def test_domains_move_between_types():
    for domain in (shell(0.1), Box(torch.tensor([0.1, 0.2]).double())):
        single = domain.to("cpu", torch.float32)
        assert single.dtype == torch.float32 and single.device.type == "cpu"
        assert type(single) is type(domain) and getattr(single, "motion", None) == getattr(domain, "motion", None)
