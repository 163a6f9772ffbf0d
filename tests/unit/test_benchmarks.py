"""The plain loops that speeds are compared with make the very moves of the fast samplers."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from benchmarks import wlmd_gpu, wlmd_speed
from benchmarks.plain import plain
from benchmarks.wlmc import Chain, network
from entroscape import numba_cache
from entroscape.config.sampler import Confinement, TimeStep
from entroscape.random import generator
from entroscape.sampling.dynamics import round as dynamics_round


def test_plain_chain_makes_the_same_moves():
    system = network(6)
    start = generator("plain").uniform(-0.2, 0.2, len(system.half_width))
    fast, slow = (Chain(s, (-4.0, 1.0), 0.3, start) for s in (system, plain(system)))
    for chain in (fast, slow):
        chain.run(3000)
    assert (fast.histogram > 0).sum() > 20
    np.testing.assert_array_equal(fast.histogram, slow.histogram)
    np.testing.assert_array_equal(fast.walker, slow.walker)


SUBJECTS = {"images": partial(wlmd_speed.images, 7, 12), "prompts": partial(wlmd_speed.prompts, 5, 8, 2, 2)}


@pytest.mark.parametrize(
    ("subject", "window"),
    [("images", (-2.0, 3.0)), ("images", (0.8, 1.0)), ("prompts", (-2.0, 3.0))],
    ids=["images", "images, beyond the window", "prompts"],
)
def test_plain_dynamics_makes_the_same_trajectories(monkeypatch, subject, window):
    monkeypatch.setattr(dynamics_round, "REFRESH", 1)  # the plain loop feels every deposit at once
    steps, dtype = 40, torch.float64
    options = wlmd_speed.settings(2, window, steps).model_copy(
        update=dict(
            time_step=TimeStep(initial=0.02, acceptance=None),
            factor=2.0,
            deposit_width=3.0,
            friction=0.5,
            confinement=Confinement(x=30.0, y=30.0),
        )
    )
    batched = wlmd_speed.Batched(SUBJECTS[subject](), wlmd_speed.grid_of(10), options, dtype)
    plain = wlmd_speed.plain_of(batched)
    noise = torch.Generator().manual_seed(0)
    noise.set_state(batched.state.generators[0].get_state())
    start, reflected, pushed = batched.state.theta.clone(), 0, 0
    for _ in range(steps):
        before = [velocity.clone() for velocity in plain.walkers[0].velocity]
        plain.step(torch.randn(2, start.shape[1], generator=noise, dtype=dtype))
        pushed += sum(plain.axes[0].push(walker.x) != 0 for walker in plain.walkers)
        reflected += sum((old * new < 0).sum() for old, new in zip(before, plain.walkers[0].velocity, strict=True))
    batched.run(1)
    theta = torch.stack([parameters_to_vector(walker.module.parameters()).detach() for walker in plain.walkers])
    assert (theta - start).abs().max() > 0.1
    assert reflected > 10
    assert pushed > 10 or window[1] == 3, "the walls of the window are felt where they are near"
    assert plain.entropy.sum() > 100
    torch.testing.assert_close(batched.state.theta, theta, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(batched.state.entropy[0], plain.entropy, rtol=1e-7, atol=1e-9)


def test_speed_on_a_device_counts_the_products_of_all_walkers(monkeypatch):
    monkeypatch.setattr(numba_cache, "COMPILED", False)
    subject = SUBJECTS["prompts"]()
    took = wlmd_gpu.measure(subject, 2, "cpu", rounds=1, side=64)
    assert min(took) > 0
    batched = wlmd_speed.Batched(subject, wlmd_speed.grid_of(10), wlmd_speed.settings(2, (-2.0, 3.0)))
    hidden = 2 * 25 * 16 * 6  # walkers, prompts, neurons, answers: forwards once, backwards twice, as all products
    assert wlmd_gpu.operations(batched) > 2 * 3 * hidden


def test_without_a_gpu_the_table_says_so():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert wlmd_gpu.table().row_count == 0 and "no GPU" in str(wlmd_gpu.table().caption)
