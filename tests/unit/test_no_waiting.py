"""No value of a tensor decides what a round does, and the host is never waited for: a GPU can replay it as a graph."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from dynamics import GRID, HALF_WIDTH, LAYOUT, TWO, observe, settings, starts
from torch.utils._python_dispatch import TorchDispatchMode

from entroscape import numba_cache, random
from entroscape.config.sampler import Axis, LnTestLoss, Observables, SmoothedAccuracyLogit
from entroscape.config.settings import NetworkSettings, SampleSettings
from entroscape.data.dataset import TaskData
from entroscape.domains import Box, Shell
from entroscape.models import make_network
from entroscape.sampling import molecular_dynamics, task_dynamics
from entroscape.sampling.dynamics.round import run_round
from entroscape.sampling.graph import Launcher
from entroscape.sampling.workers import Workers

BOX = Box(HALF_WIDTH)
SHELLS = {name: Shell(torch.tensor(1.3, dtype=torch.float64), name) for name in ("geodesic", "rescaling")}
INTEGRATORS = ["baoab", "first_order", "hmc"]
ON_SHELLS = [*((name, "geodesic") for name in INTEGRATORS), ("baoab", "rescaling"), ("first_order", "rescaling")]
STAGES = {"explore": None, "refine": None, "production": 3}  # block
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
NAMES = {"_local_scalar_dense", "item", "nonzero", "masked_select", "unique", "unique2", "_unique2", "is_nonzero"}


class Watch(TorchDispatchMode):
    """Counts operators; refuses those that bring a value of a tensor to the host, or whose shape follows one."""

    def __init__(self):
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        by_mask = name.startswith("index") and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)
            for arg in args[1:]
            if isinstance(arg, list | tuple)
            for index in arg
        )
        by_index = name in {"index", "index_put", "index_put_", "_index_put_impl_"}  # the tag is there for masks
        if by_mask or name.rstrip("_") in NAMES or (READS.intersection(func.tags) and not by_index):
            raise AssertionError(f"{func} waits for a value")
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch):
    """Nothing is compiled for the CPU."""
    monkeypatch.setattr(numba_cache, "COMPILED", False)


@pytest.fixture
def watched(monkeypatch):
    """Function that makes a round and counts its operators, with all doors between host and tensors shut."""

    def refuse(*args, **kwargs):
        raise AssertionError("a value goes between the host and a tensor")

    def run(problem, state, block) -> Counter[str]:
        with Watch() as watch, monkeypatch.context() as patch:
            for name in ("tensor", "as_tensor", "from_numpy"):
                patch.setattr(torch, name, refuse)
            for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__array__"):
                patch.setattr(torch.Tensor, name, refuse)
            run_round(problem, state, block, Workers(1))
        return watch.counts

    return run


@pytest.mark.parametrize(
    "wait",
    [
        lambda t: t.sum().item(), lambda t: bool((t > 0).any()), lambda t: t[t > 0], lambda t: t.nonzero(),
        lambda t: t.masked_select(t > 0), lambda t: t.unique(), lambda t: float(t[0]), lambda t: t.tolist(),
        lambda t: t.numpy(), lambda t: t.cpu(), lambda t: torch.tensor([1.0]), lambda t: t.repeat_interleave(t.long()),
        lambda t: t.index_put_((t > 0,), t[0]), lambda t: torch.equal(t, t), lambda t: torch.where(t > 0),
    ],
)  # fmt: skip
def test_the_watch_sees_what_waits(watched, monkeypatch, wait):
    monkeypatch.setitem(globals(), "run_round", lambda _problem, _state, _block, _workers: wait(torch.arange(3.0)))
    with pytest.raises(AssertionError, match=r"waits for a value|goes between"):
        watched(None, None, None)


def toy(walkers=4, domain=BOX, **changes):
    options = settings(TWO, walkers=walkers, leapfrog_steps=2, jitter=0.1, **changes)
    problem = molecular_dynamics.make_problem(observe, LAYOUT, domain, GRID, options)
    return problem, molecular_dynamics.init(problem, starts(), partial(random.generator, "waiting"))


def task(kind: str) -> TaskData:
    draw = np.random.default_rng(0)
    if kind == "transformer":
        x, y = draw.integers(3, size=(14, 2)), draw.integers(3, size=14)
        return TaskData(x[:8], y[:8], x[8:], y[8:], 3, {"what": "random tokens"})
    shape = {"mlp": (5,), "regression": (5,), "cnn": (1, 9, 7), "residual": (3, 8, 8)}[kind]
    x = draw.normal(size=(14, *shape))
    y, classes = (draw.normal(size=14), None) if kind == "regression" else (draw.integers(3, size=14), 3)
    return TaskData(x[:8], y[:8], x[8:], y[8:], classes, {"what": "random numbers"})


def of_network(kind: str, walkers=2):
    network = dict(kind="mlp", depth=2, box_rule="width") if kind in {"mlp", "regression"} else dict(kind=kind)
    if kind == "transformer":
        network |= dict(heads=2, mlp_ratio=2, start="nanda")
    y = LnTestLoss(kind="ln_test_loss", axis=Axis(min=-9.0, max=9.0, bin_width=1.0))
    if kind != "regression":
        axis = Axis(min=-8.0, max=8.0, bin_width=1.0)
        y = SmoothedAccuracyLogit(kind="smoothed_accuracy_logit", slope=5.0, epsilon=1e-3, axis=axis)
    sample = SampleSettings(
        experiment="waiting",
        variant=kind,
        network=NetworkSettings(**network | dict(width=2, box_factor=2.0)),
        train_points=None,
        seed=0,
        observables=Observables(ln_train_loss=Axis(min=-9.0, max=9.0, bin_width=1.0), y=y),
        procedure=settings([(-9.0, 9.0)], walkers=walkers, steps_per_round=2, precision="float32"),
    )
    problem = task_dynamics.make_problem(sample, task(kind), "cpu")
    network = make_network(sample.network, task(kind))
    states = network.domain.project(network.initial(torch.Generator().manual_seed(0), 20))
    return problem, molecular_dynamics.init(problem, states.numpy(), partial(random.generator, "waiting"))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_no_round_waits_for_a_value(watched, integrator, stage):
    problem, state = toy(integrator=integrator)
    counts = watched(problem, state, STAGES[stage])
    assert counts["aten.gather.default"] >= 5, "the map was looked up at every step"
    assert bool(state.blocks.any()) == (stage == "production")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("integrator", "motion"), ON_SHELLS)
def test_no_round_on_a_shell_waits_for_a_value_or_depends_on_places(watched, integrator, motion, stage):
    options = dict(integrator=integrator, domain=SHELLS[motion])
    counts = watched(*toy(**options), STAGES[stage])
    problem, state = toy(**options, walkers=37)
    assert problem.domain.inside(state.theta).all()
    state.velocity *= 30
    state.velocity[:5] = 0
    assert watched(problem, state, STAGES[stage]) == counts
    assert problem.domain.inside(state.theta).all()


@pytest.mark.parametrize("stage", ["explore", "production"])
@pytest.mark.parametrize("kind", ["mlp", "regression", "cnn", "residual", "transformer"])
def test_no_round_of_a_network_waits_for_a_value(watched, kind, stage):
    counts = [watched(*of_network(kind, walkers), STAGES[stage]) for walkers in (2, 5)]
    assert counts[0] == counts[1], "the number of operators does not depend on the number of walkers"
    assert counts[0].total() > 100


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_the_operators_of_a_round_depend_neither_on_places_nor_on_the_number_of_walkers(watched, integrator, stage):
    block = STAGES[stage]
    usual = watched(*toy(integrator=integrator), block)
    problem, state = toy(integrator=integrator)
    state.theta[:] = HALF_WIDTH * torch.linspace(-1, 1, len(state.theta)).double()[:, None]  # beyond windows and axis
    state.velocity *= 30  # into the walls
    state.theta[0, [0, 4, 5]] = torch.tensor([-1.0, -0.9, 1.0]).double()
    x, y, _ = observe(state.theta)
    assert (x < -0.25).any() and (x > 0.5).any() and (y < -0.8).any()
    assert watched(problem, state, block) == usual
    assert watched(*toy(integrator=integrator, walkers=37), block) == usual
    assert watched(*toy(integrator=integrator, walkers=2), block) == usual


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("stage", STAGES)
def test_the_operators_of_a_round_grow_evenly_with_its_steps(watched, integrator, stage):
    """In steps of five, after which the map that walkers feel is renewed."""
    few, more, many = (watched(*toy(integrator=integrator, steps_per_round=n), STAGES[stage]) for n in (5, 10, 20))
    per_step = (more - few).total() / 5
    assert 50 < per_step < 600
    assert many - more == Counter({name: 2 * count for name, count in (more - few).items()})


def test_a_launcher_calls_the_function_each_time_on_a_cpu():
    launch, calls = Launcher(), []
    for _ in range(4):
        launch("key", lambda: calls.append(1), [torch.Generator()])
    assert len(calls) == 4
