"""Molecular dynamics on a GPU: known entropies, the walks of a CPU, captured rounds, interruptions."""

from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from dynamics import GRID, HALF_WIDTH, LAYOUT, TWO, advance, observe, settings, starts
from dynamics_runs import assert_within_errors, dynamics_settings, landscape_of, trajectories
from known_targets import balls

from entroscape import random
from entroscape.config.sampler import Axis, Observables, SmoothedAccuracyLogit
from entroscape.config.settings import NetworkSettings, SampleSettings
from entroscape.data.dataset import TaskData
from entroscape.data.modular import split, table
from entroscape.domains import Box, Shell
from entroscape.files import read_dataset, write_dataset
from entroscape.models import make_network
from entroscape.sampling import checkpoint, molecular_dynamics, task_dynamics
from entroscape.sampling.dynamics.round import evaluate
from entroscape.sampling.workers import Workers
from entroscape.verbs import sample

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
DOMAINS = [Box(HALF_WIDTH), Shell(torch.tensor(1.3, dtype=torch.float64))]
INTEGRATORS = ["baoab", "first_order", "hmc"]
MODULUS = 7


def called(key, function, generators) -> None:
    """A launcher that captures nothing."""
    function()


def without_capture(problem):
    object.__setattr__(problem, "launch", called)
    return problem


def toy(integrator: str, domain=DOMAINS[0]):
    options = settings(TWO, walkers=8, integrator=integrator, leapfrog_steps=2, jitter=0.1)
    problem = molecular_dynamics.make_problem(observe, LAYOUT, domain.to("cuda", domain.dtype), GRID, options)
    return problem, molecular_dynamics.init(problem, starts(), partial(random.generator, "graph"))


def prompts() -> TaskData:
    pairs, answers = table("add", MODULUS)
    train, test = split(MODULUS, 25, "gpu")
    return TaskData(pairs[train], answers[train], pairs[test], answers[test], MODULUS, {"what": "addition"})


def transformer(**changes) -> SampleSettings:
    axis = Axis(min=-8.0, max=8.0, bin_width=1.0)
    network = dict(kind="transformer", width=16, heads=2, mlp_ratio=4, start="nanda", box_rule="fan_in", box_factor=2.0)
    return SampleSettings(
        experiment="gpu",
        variant="transformer",
        network=NetworkSettings(**network),
        train_points=None,
        seed=0,
        observables=Observables(
            ln_train_loss=Axis(min=-9.0, max=9.0, bin_width=1.0),
            y=SmoothedAccuracyLogit(kind="smoothed_accuracy_logit", slope=5.0, epsilon=1e-3, axis=axis),
        ),
        procedure=settings([(-9.0, 9.0)], time_step=dict(initial=0.002, acceptance=None), **changes),
    )


def random_states(chosen: SampleSettings) -> np.ndarray:
    network = make_network(chosen.network, prompts())
    return network.domain.project(network.initial(torch.Generator().manual_seed(0), 20)).numpy()


def walks(device: str, chosen: SampleSettings):
    problem = task_dynamics.make_problem(chosen, prompts(), device)
    return problem, molecular_dynamics.init(problem, random_states(chosen), partial(random.generator, "gpu"))


@pytest.mark.parametrize("run", ["baoab", "hmc"])
def test_two_balls_have_the_entropy_that_is_known(run):
    options = dict(windows=[(-2.0, 0.0)], walkers=512, factor=5e-4, explore=500, refine=1000, production=4000)
    if run == "hmc":
        options |= dict(explore=100, refine=300, production=900, **trajectories(4, 0.08))
    target = balls()
    target = target._replace(domain=target.domain.to("cuda", torch.float64))
    landscape = landscape_of(target, dynamics_settings(**options), "balls on a GPU", run)
    x, y = np.meshgrid(target.grid.x_centres, target.grid.y_values, indexing="ij")
    assert_within_errors(landscape, 3 * x + 2 * y)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_captured_rounds_are_the_rounds_themselves(integrator, domain):
    """The same generator state gives the same random numbers, and so the same walks but for rounding."""
    problem, state = toy(integrator, domain)
    advance(problem, state)
    assert sum(graph is not None for graph in problem.launch._graphs.values()) == 10, "one each stage and block"
    plain_problem, plain = toy(integrator, domain)
    advance(without_capture(plain_problem), plain)
    torch.testing.assert_close(state.theta, plain.theta, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(state.blocks, plain.blocks, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(state.entropy, plain.entropy, rtol=1e-8, atol=1e-9)


def test_captured_rounds_of_a_transformer_are_the_rounds_themselves():
    problem, state = walks("cuda", transformer())
    advance(problem, state)
    plain_problem, plain = walks("cuda", transformer())
    advance(without_capture(plain_problem), plain)
    assert (state.theta - torch.as_tensor(random_states(transformer())[0], device="cuda")).abs().max() > 0.01
    torch.testing.assert_close(state.theta, plain.theta, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(state.coordinates, plain.coordinates, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_walker_has_the_coordinates_and_forces_of_a_cpu(precision):
    chosen = transformer(precision=precision)
    found = []
    for device in ("cpu", "cuda"):
        problem, state = walks(device, chosen)
        felt = problem.map.zeros() + torch.linspace(0, 5, problem.grid.columns, device=device)[:, None] ** 2
        state_at = evaluate(problem, Workers(1), felt, state.theta)
        found.append([value.cpu() for value in state_at])
    for ours, known in zip(*found, strict=True):
        torch.testing.assert_close(ours, known, **({} if precision == "float64" else dict(rtol=1e-3, atol=1e-4)))


@pytest.mark.parametrize("rounds", [1, 7, 11, 25])
def test_an_interrupted_run_walks_on_as_if_nothing_had_been(tmp_path, rounds):
    problem, undisturbed = walks("cuda", transformer())
    advance(problem, undisturbed)
    problem, state = walks("cuda", transformer())
    advance(problem, state, rounds)
    checkpoint.save(tmp_path / "state.npz", state, {})
    state = checkpoint.load(tmp_path / "state.npz", molecular_dynamics.State, {}, "cuda")
    problem, _ = walks("cuda", transformer())
    advance(problem, state)
    torch.testing.assert_close(state.theta, undisturbed.theta, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(state.blocks, undisturbed.blocks, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_the_verb_leaves_the_file_that_a_cpu_would(tmp_path, device):
    chosen = transformer()
    data, seeds = tmp_path / "data.nc", tmp_path / "seeds.nc"
    write_dataset(prompts().to_dataset(), data)
    write_dataset(xr.Dataset({"theta": (("state", "parameter"), random_states(chosen))}), seeds)
    kept = {}
    for name in ("cpu", device):
        output = tmp_path / f"{name}.nc"
        common = dict(data=data, seeds=seeds, checkpoint_path=tmp_path / f"{name}.npz", threads=1)
        sample.run(chosen, replica=0, output=output, device=name, **common)
        kept[name] = read_dataset(output)
    ours, known = kept[device], kept["cpu"]
    assert ours.attrs["device"] == "cuda"
    assert ours.sizes == known.sizes
    assert {name: v.dtype for name, v in ours.items()} == {name: v.dtype for name, v in known.items()}
    assert float(ours["histogram"].sum()) > 0
