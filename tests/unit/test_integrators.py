"""Steps in a known potential: walls, orders of the error, temperature, reversibility, what hmc leaves invariant."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from entroscape.domains import Box, reflect
from entroscape.sampling.integrators import Evaluation, Phase, Thermostat, baoab, first_order, hmc

NO_WALLS = Box(torch.tensor(torch.inf, dtype=torch.float64))


def evaluation(energy: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Evaluation]:
    """theta -> energy and force of a potential, theta[W, P] -> [W]."""

    def evaluate(theta: Tensor) -> Evaluation:
        leaf = theta.detach().requires_grad_()
        value = energy(leaf)
        force = -torch.autograd.grad(value.sum(), leaf)[0]
        return Evaluation(theta[:, 0], theta[:, -1], torch.zeros(len(theta)), value.detach(), force)

    return evaluate


def harmonic(k: float) -> Callable[[Tensor], Evaluation]:
    return evaluation(lambda theta: k / 2 * theta.square().sum(1))


def uneven_energy(theta: Tensor) -> Tensor:
    """No symmetry, and no sum over parameters."""
    a, b = theta.unbind(1)
    return (a**4 + b**4) / 4 + 0.5 * a * b**2 + b**2 + 0.4 * a


uneven = evaluation(uneven_energy)


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed=1) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def phase_at(theta: Tensor, velocity: Tensor, evaluate) -> Phase:
    return Phase(theta, velocity, evaluate(theta))


def steps_of(dt: float, walkers: int) -> Tensor:
    return torch.full((walkers, 1), dt, dtype=torch.float64)


numbers = st.floats(-50, 50, allow_nan=False, width=64)


@given(st.lists(st.tuples(numbers, numbers, st.floats(1e-3, 10)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=200)
def test_reflected_points_end_inside_and_keep_their_speed(points):
    theta, velocity, half = torch.tensor(points, dtype=torch.float64).T
    place, after = reflect(theta[None], velocity[None], half)
    assert (place.abs() <= half).all()
    torch.testing.assert_close(after.abs(), velocity[None].abs(), rtol=0, atol=0)
    left, once = theta.abs() > half, theta.abs() < 3 * half
    torch.testing.assert_close(after[0, once], torch.where(left, -velocity, velocity)[once], rtol=0, atol=0)
    torch.testing.assert_close(place[0, ~left], theta[~left], rtol=0, atol=0)
    torch.testing.assert_close(place[0, left & once], (2 * half * theta.sign() - theta)[left & once])


def test_a_wall_mirrors_place_and_velocity():
    half = torch.tensor([1.0, 2.0, 0.5])
    theta, velocity = torch.tensor([[1.25, -2.5, 0.1]]), torch.tensor([[3.0, -1.0, 7.0]])
    place, after = reflect(theta, velocity, half)
    assert place.tolist() == [[0.75, -1.5, pytest.approx(0.1)]]
    assert after.tolist() == [[-3.0, 1.0, 7.0]]


def test_first_order_is_the_published_step():
    """v += dt F - dt gamma v + sqrt(2 gamma dt) xi, then theta += dt v (arXiv:2503.13145)."""
    theta, velocity, dt, friction = normal(3, 2), normal(3, 2, seed=2), 0.03, 0.7
    start = phase_at(theta, velocity, uneven)
    moved = first_order(start, steps_of(dt, 3), NO_WALLS, uneven, Thermostat(friction, generator(5)))
    noise = torch.randn(3, 2, generator=generator(5), dtype=torch.float64)
    expected = velocity + dt * start.at.force - dt * friction * velocity + (2 * friction * dt) ** 0.5 * noise
    torch.testing.assert_close(moved.phase.velocity, expected)
    torch.testing.assert_close(moved.phase.theta, theta + dt * expected)


def energy(phase: Phase) -> Tensor:
    return phase.at.energy + phase.velocity.square().sum(1) / 2


def largest_energy_error(integrator, dt: float, time=8.0) -> float:
    """Without friction the energy should stay; also checks what a step reports to have gained."""
    theta, velocity = 0.5 * normal(20, 2), normal(20, 2, seed=2)
    phase = phase_at(theta, velocity, uneven)
    start, worst, gained = energy(phase), 0.0, torch.zeros(20, dtype=torch.float64)
    for _ in range(round(time / dt)):
        moved = integrator(phase, steps_of(dt, 20), NO_WALLS, uneven, Thermostat(0.0, generator()))
        phase, gained = moved.phase, gained + moved.gained
        worst = max(worst, float((energy(phase) - start).abs().max()))
    torch.testing.assert_close(gained, energy(phase) - start, rtol=1e-9, atol=1e-9)
    return worst


def test_energy_error_is_second_order_for_baoab_and_first_for_the_published_step():
    steps = (0.04, 0.02, 0.01)
    second = [largest_energy_error(baoab, dt) for dt in steps]
    first = [largest_energy_error(first_order, dt) for dt in steps]
    print(f"largest energy errors at time steps {steps}: baoab {second}, first order {first}")
    assert second[0] / second[1] == pytest.approx(4, rel=0.1) and second[1] / second[2] == pytest.approx(4, rel=0.1)
    assert first[0] / first[1] == pytest.approx(2, rel=0.15) and first[1] / first[2] == pytest.approx(2, rel=0.15)
    assert min(f / s for f, s in zip(first, second, strict=True)) > 5


def thermal(integrator, k: float, dt: float, friction: float, walkers=20_000, rounds=8, between=40) -> tuple:
    """Means of theta^2 and velocity^2 of walkers in a harmonic potential, and their errors."""
    evaluate, noise = harmonic(k), Thermostat(friction, generator(3))
    phase = phase_at(normal(walkers, 1) / k**0.5, normal(walkers, 1, seed=2), evaluate)
    seen = []
    for count in range(rounds * between):
        phase = integrator(phase, steps_of(dt, walkers), NO_WALLS, evaluate, noise).phase
        if count % between == between - 1 and count > between:
            seen.append((phase.theta.square().mean(), phase.velocity.square().mean()))
    place, velocity = (float(value) for value in torch.tensor(seen, dtype=torch.float64).mean(0))
    relative = (2 / (walkers * len(seen))) ** 0.5  # of the mean of a squared normal number
    return place, place * relative, velocity, velocity * relative


def test_baoab_in_a_harmonic_potential_has_exact_places_and_a_known_temperature():
    """Leimkuhler and Matthews 2013: <theta^2> = kT / k whatever the step, <v^2> = 1 - (omega dt)^2 / 4."""
    k, dt = 4.0, 0.4
    place, place_err, heat, heat_err = thermal(baoab, k, dt, friction=1.0)
    assert abs(place - 1 / k) < 4 * place_err
    assert abs(heat - (1 - k * dt**2 / 4)) < 4 * heat_err
    assert k * dt**2 / 4 > 10 * heat_err, "the known error is seen"


def test_first_order_in_a_harmonic_potential_comes_near_the_temperature_of_the_bath():
    k = 4.0
    errors = []
    for dt in (0.1, 0.02):
        place, place_err, heat, heat_err = thermal(first_order, k, dt, friction=1.0, between=100)
        errors.append((abs(place * k - 1), abs(heat - 1), 4 * place_err * k, 4 * heat_err))
    assert errors[0][1] > errors[0][3], "a large step heats or cools"
    assert errors[1][0] < k * 0.02**1 and errors[1][1] < 0.02 + errors[1][3]
    assert errors[1][1] < errors[0][1]


@pytest.mark.parametrize("narrow", [0.5, 0.004])  # narrower than a step is long
@pytest.mark.parametrize("integrator", [baoab, first_order])
def test_without_a_force_walkers_fill_the_box_evenly_at_the_temperature_of_the_bath(integrator, narrow):
    walkers, half = 20_000, torch.tensor([narrow, 2.0], dtype=torch.float64)
    flat, bath = evaluation(lambda theta: 0.0 * theta.sum(1)), Thermostat(1.0, generator(4))
    phase = phase_at(torch.zeros(walkers, 2, dtype=torch.float64), normal(walkers, 2), flat)
    for _ in range(400):
        phase = integrator(phase, steps_of(0.05, walkers), Box(half), flat, bath).phase
    counts = np.array([np.histogram(t / h, 10, (-1, 1))[0] for t, h in zip(phase.theta.T, half, strict=True)])
    assert (counts.sum(axis=1) == walkers).all() and (phase.theta.abs() < half).all(), "none is outside or on a wall"
    assert (((counts - walkers / 10) ** 2 / (walkers / 10)).sum(axis=1) < chi2.ppf(0.9999, 9)).all()
    bath_bias = 0.05 / 2 if integrator is first_order else 0.0  # 1 / (1 - gamma dt / 2), of the published step
    assert float(phase.velocity.square().mean()) == pytest.approx(1 + bath_bias, abs=4 * (2 / (2 * walkers)) ** 0.5)


def test_leapfrog_with_walls_runs_backwards_to_where_it_began():
    half = torch.tensor([0.6, 0.4], dtype=torch.float64)
    theta, velocity = 0.3 * normal(50, 2).clamp(-1, 1), normal(50, 2, seed=2)
    options = dict(leapfrog_steps=40, jitter=0.0)

    def trajectory(theta: Tensor, velocity: Tensor) -> Phase:
        start = phase_at(theta, velocity, uneven)
        return hmc(start, steps_of(0.02, 50), Box(half), uneven, Thermostat(0.0, generator(1)), **options).phase

    there = trajectory(theta, velocity)
    moved = (there.theta - theta).abs().amax(1) > 0.01
    assert moved.sum() > 40, "most are accepted"
    straight = theta + 40 * 0.02 * velocity
    assert ((straight.abs() > half).any(1) & moved).sum() > 20, "many have met a wall"
    back = trajectory(there.theta[moved].repeat(50, 1)[:50], -there.velocity[moved].repeat(50, 1)[:50])
    came_back = (back.theta - theta[moved].repeat(50, 1)[:50]).abs().amax(1)
    stayed = (back.theta - there.theta[moved].repeat(50, 1)[:50]).abs().amax(1) == 0
    assert (~stayed).sum() > 40
    assert came_back[~stayed].max() < 1e-10


def test_baoab_without_friction_runs_backwards_through_walls():
    half = torch.tensor([0.6, 0.4], dtype=torch.float64)
    theta, velocity = 0.3 * normal(50, 2).clamp(-1, 1), normal(50, 2, seed=2)

    def trajectory(phase: Phase) -> Phase:
        for _ in range(60):
            phase = baoab(phase, steps_of(0.02, 50), Box(half), uneven, Thermostat(0.0, generator())).phase
        return phase

    there = trajectory(phase_at(theta, velocity, uneven))
    back = trajectory(there._replace(velocity=-there.velocity))
    torch.testing.assert_close(back.theta, theta, rtol=0, atol=1e-10)
    torch.testing.assert_close(back.velocity, -velocity, rtol=0, atol=1e-10)


def test_hmc_with_little_friction_keeps_its_direction_until_a_trajectory_is_dropped():
    start = phase_at(torch.zeros(400, 2, dtype=torch.float64), normal(400, 2), uneven)
    bath, options = Thermostat(1e-6, generator(2)), dict(leapfrog_steps=2, jitter=0.0)
    near = hmc(start, steps_of(1e-4, 400), NO_WALLS, uneven, bath, **options).phase
    torch.testing.assert_close(near.velocity, start.velocity, rtol=0, atol=1e-2)
    far = hmc(start, steps_of(0.8, 400), NO_WALLS, uneven, bath, **options).phase
    dropped = (far.theta == start.theta).all(1)
    assert 20 < dropped.sum() < 380
    torch.testing.assert_close(far.velocity[dropped], -start.velocity[dropped], rtol=0, atol=1e-2)


def test_long_trajectories_beside_a_very_narrow_parameter_sample_the_target():
    """exp(-2 a - 40 b - a b) in |a| <= 1, |b| <= 0.01: a step is several times as long as b is wide."""
    half, walkers, cells = torch.tensor([1.0, 0.01], dtype=torch.float64), 20_000, 10
    target = evaluation(lambda theta: 2 * theta[:, 0] + 40 * theta[:, 1] + theta.prod(1))
    start = half * (2 * torch.rand(walkers, 2, generator=generator(), dtype=torch.float64) - 1)
    phase, bath, accepted = phase_at(start, normal(walkers, 2), target), Thermostat(None, generator(2)), []
    for _ in range(25):
        moved = hmc(phase, steps_of(0.05, walkers), Box(half), target, bath, leapfrog_steps=12, jitter=0.3)
        phase, _ = moved.phase, accepted.append(float(moved.accepted.mean()))
    assert 0.3 < np.mean(accepted) < 0.9 and (phase.theta.abs() < half).all()
    fine = (np.arange(cells * 40) + 0.5) / (cells * 20) - 1
    a, b = np.meshgrid(fine, 0.01 * fine, indexing="ij")
    weight = np.exp(-2 * a - 40 * b - a * b)
    expected = weight.reshape(cells, 40, cells, 40).sum((1, 3)).ravel() / weight.sum() * walkers
    found = np.histogram2d(*(phase.theta / half).T.numpy(), np.linspace(-1, 1, cells + 1))[0].ravel()
    assert ((found - expected) ** 2 / expected).sum() < chi2.ppf(0.9999, expected.size - 1)


@pytest.mark.parametrize("friction", [None, 0.3, 0.02])
def test_hmc_leaves_the_target_invariant_at_large_steps(friction):
    """From exact draws of an uneven density in a box, steps so large that half are rejected lead to the same one."""
    half, walkers, cells = torch.tensor([1.5, 1.2], dtype=torch.float64), 40_000, (8, 6)
    edges = [np.linspace(-h, h, n * 40 + 1) for h, n in zip(half.tolist(), cells, strict=True)]
    middles = np.stack(np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in edges), indexing="ij"), -1).reshape(-1, 2)
    weight = np.exp(-3 * uneven(torch.as_tensor(middles)).energy.numpy())
    random = np.random.default_rng(0)
    drawn = random.choice(len(weight), walkers, p=weight / weight.sum())
    width = np.array([e[1] - e[0] for e in edges])
    theta = torch.as_tensor(middles[drawn] + random.uniform(-0.5, 0.5, (walkers, 2)) * width)
    steep = evaluation(lambda theta: 3 * uneven_energy(theta))
    phase, bath, accepted = phase_at(theta, normal(walkers, 2), steep), Thermostat(friction, generator(2)), []
    for _ in range(15):
        moved = hmc(phase, steps_of(0.55, walkers), Box(half), steep, bath, leapfrog_steps=3, jitter=0.2)
        phase, _ = moved.phase, accepted.append(float(moved.accepted.mean()))
        torch.testing.assert_close(phase.at.energy, steep(phase.theta).energy)
        torch.testing.assert_close(phase.at.force, steep(phase.theta).force)
    assert 0.3 < np.mean(accepted) < 0.8
    assert (phase.theta.abs() <= half).all()
    expected = weight.reshape(8, 40, 6, 40).sum((1, 3)).ravel() / weight.sum() * walkers
    found = np.histogram2d(*phase.theta.T.numpy(), [e[::40] for e in edges])[0].ravel()
    often = expected > 10
    statistic = ((found - expected)[often] ** 2 / expected[often]).sum()
    print(f"accepted {np.mean(accepted):.2f}, chi squared {statistic:.1f} in {often.sum()} cells")
    assert statistic < chi2.ppf(0.999, often.sum())


def test_hmc_keeps_a_walker_whose_proposal_has_no_finite_energy():
    def broken(theta: Tensor) -> Evaluation:
        at = harmonic(1.0)(theta)
        return at._replace(energy=torch.where(theta[:, 0] > 0, torch.nan, at.energy))

    theta = torch.full((100, 1), -0.05, dtype=torch.float64)
    phase = phase_at(theta, normal(100, 1), broken)
    bath = Thermostat(1.0, generator(1))
    moved = hmc(phase, steps_of(0.5, 100), NO_WALLS, broken, bath, leapfrog_steps=1, jitter=0.0)
    stayed = moved.phase.theta[:, 0] == -0.05
    assert 20 < stayed.sum() < 80
    assert (moved.phase.theta <= 0).all() and torch.isfinite(moved.phase.at.energy).all()
    assert (moved.accepted[stayed & ~torch.isfinite(moved.gained)] == 0).all()
