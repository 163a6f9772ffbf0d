"""Box and shell: nearest points, directions of motion, and drifts that keep what they should."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

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


def test_domains_move_between_types():
    for domain in (shell(0.1), Box(torch.tensor([0.1, 0.2]).double())):
        single = domain.to("cpu", torch.float32)
        assert single.dtype == torch.float32 and single.device.type == "cpu"
        assert type(single) is type(domain) and getattr(single, "motion", None) == getattr(domain, "motion", None)
