"""WanD under a fixed bias against a distribution of ln L that is known."""

import numpy as np
import pytest
import torch

from entroscape.training.wand import EntropyOfLoss, WanDRuns

pytestmark = pytest.mark.exact
DIMENSIONS, BIAS, ONSET, TEMPERATURE = 30, 12.0, -2.5, 0.8


def expected(friction: float) -> tuple[float, float]:
    """Mean and variance of x = ln(|theta|^2 / 2): density exp(d x / 2 - S(x) / kT).

    The published thermostat keeps <v^2> = kT, but what a step of velocities does to places is that of the temperature
    kT (1 - c_f / 2), whatever the time step: noise c_f (2 - c_f) kT against friction c_f.
    """
    temperature = TEMPERATURE * (1 - friction / 2)
    x = np.linspace(-8, 4, 40_001)
    exponent = DIMENSIONS / 2 * x - BIAS * np.clip(x - ONSET, 0, None) ** 2 / temperature
    weight = np.exp(exponent - exponent.max())
    mean = np.average(x, weights=weight)
    return float(mean), float(np.average((x - mean) ** 2, weights=weight))


@pytest.mark.parametrize("friction", [0.05, 0.5])
def test_quadratic_loss_under_the_bias_has_the_known_distribution(friction):
    runs = 200
    noise = torch.Generator().manual_seed(11)
    theta = torch.randn(runs, DIMENSIONS, generator=noise, dtype=torch.float64) / 4
    entropy = EntropyOfLoss.of((-8.0, 3.0, 0.1), BIAS, ONSET, 1.0)
    wand = WanDRuns(
        theta, entropy, learning_rate=0.01, temperature=TEMPERATURE, friction=friction, factor=0.0, factor_steps=1,
        generator=noise,
    )  # fmt: skip
    found = []
    for step in range(3000):
        loss = theta.square().sum(1) / 2
        theta = theta + wand.move(theta, loss)
        if step >= 600 and step % 10 == 0:
            found.append(loss.log())
    x = torch.stack(found).numpy()
    mean, variance = expected(friction)
    means, squares = x.mean(axis=0), ((x - mean) ** 2).mean(axis=0)  # of independent runs
    assert abs(means.mean() - mean) < 4 * means.std(ddof=1) / runs**0.5
    assert means.std(ddof=1) / runs**0.5 < 0.003
    # the finite step widens the distribution by 1 % or so
    assert abs(squares.mean() - variance) < 4 * squares.std(ddof=1) / runs**0.5 + 0.02 * variance
    assert float(wand.velocity.square().mean()) == pytest.approx(TEMPERATURE, rel=0.05)
