"""Small landscapes, curves and data as the verbs write them, made from a formula."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import synthetic
import xarray as xr
from scipy.special import expit

from entroscape.analysis.curves import curve_table as curve_table_of
from entroscape.analysis.curves import low_loss_table as low_loss_table_of
from entroscape.config.data import SpiralData
from entroscape.config.schema import Analysis
from entroscape.data.dataset import TaskData
from entroscape.data.spirals import make
from entroscape.landscape import curves, jackknife
from entroscape.landscape.merge import merge
from entroscape.landscape.metric import Metric, sign

MAP = ("ln_train_loss", "test_accuracy")
X = np.round(np.arange(-1.95, 0.5, 0.1), 9)
Y = np.linspace(0, 1, 11)


def points() -> TaskData:
    return make(
        SpiralData(
            kind="spirals",
            train_points_per_class=5,
            test_points_per_class=4,
            radius_min=1,
            radius_max=5,
            angle_per_radius=2,
            noise=0.1,
            seed=1,
        )
    )


def landscape(replicas: int = 2, walkers: int = 3, windows: int = 2, empty: int = 3) -> xr.Dataset:
    """A map by replica exchange whose `empty` lowest columns were not visited, and whose top bins have no error."""
    random = np.random.default_rng(3)
    units = replicas * walkers
    entropy = 40 * np.minimum(X, 0)[:, None] - 60 * (Y - 0.8 + 0.15 * (X[:, None] + 2)) ** 2
    entropy[entropy - entropy.max(axis=1, keepdims=True) < -15] = -np.inf
    entropy[:empty] = -np.inf
    entropy -= entropy.max()
    left_out = entropy + 0.02 * random.normal(size=(units, *entropy.shape))
    with np.errstate(invalid="ignore"):
        rare = np.isfinite(entropy) & (entropy - entropy.max(axis=1, keepdims=True) < -12)
    left_out[0, rare] = -np.inf
    error = np.where(np.isfinite(entropy), jackknife.error(left_out), np.nan)
    alone = entropy + 0.1 * random.normal(size=(replicas, *entropy.shape))
    alone_err = np.full_like(alone, 0.1 if walkers > 1 else np.nan)
    blocks = entropy + np.linspace(0.3, 0, 8)[:, None, None] * random.normal(size=(8, *entropy.shape))
    edges = np.array([[-0.8, 0.5], [-2.0, -0.5]])[:windows]
    overlaps = {f"overlap_{name}": ("overlap", np.full(windows - 1, 0.5)) for name in ("rms", "tilt", "tilt_err")}
    settings = json.dumps({"experiment": "spiral", "procedure": {"procedure": "replica_exchange"}})
    attributes = {"settings": settings, "moves": 2_500_000, "code_digest": "0123456789abcdef", "seeds": ["a/0", "a/1"]}
    counts = {"replicas": replicas, "walkers": walkers, "updates": 30_000_000, "seconds": 12.5}
    return xr.Dataset(
        {
            "entropy": (MAP, entropy),
            "entropy_err": (MAP, error),
            "visited": (MAP, np.isfinite(entropy)),
            "entropy_left_out": (("unit", *MAP), left_out),
            "entropy_replica": (("replica", *MAP), alone),
            "entropy_replica_err": (("replica", *MAP), alone_err),
            "entropy_until": (("block", *MAP), blocks),
            "entropy_deposits": (MAP, entropy + 0.4 * random.normal(size=entropy.shape)),
            "window_edges": (("window", "edge"), edges),
            "exchange_rate": (("replica", "overlap"), np.full((replicas, windows - 1), 0.2)),
            "round_trips": (("replica", "configuration"), np.ones((replicas, walkers * windows), dtype=int)),
            "overlap_bins": ("overlap", np.full(windows - 1, 20.0)),
            "overlap_rms_in_errors": ("overlap", np.full(windows - 1, 1.3)),
            **overlaps,
        },
        {"ln_train_loss": X, "test_accuracy": Y},
        {**attributes, **counts, "versions": '{"numpy":"2"}', "device": "cpu", "procedure": "replica_exchange"},
    )


def published(empty: int = 8) -> xr.Dataset:
    """A map by the published procedure, two runs, that ends earlier."""
    wide = landscape(walkers=1, empty=empty)
    names = ["entropy", "entropy_err", "visited", "entropy_left_out", "entropy_replica", "entropy_replica_err"]
    settings = json.dumps({"procedure": {"procedure": "cycles", "instances": 4}})
    return wide[names].assign_attrs(procedure="cycles", settings=settings)


def curve_table(sampled: xr.Dataset) -> pd.DataFrame:
    frames = []
    entropy, left_out = sampled["entropy"].to_numpy(), list(sampled["entropy_left_out"].to_numpy())
    for quantity, function in (("equilibrium", curves.equilibrium), ("maximum_entropy", curves.maximum_entropy)):
        value, error = jackknife.of(lambda one, function=function: function(one, Y), entropy, left_out)
        frames.append(pd.DataFrame({"quantity": quantity, "baseline": "", "value": value, "error": error}))
    for baseline, inside in (("free", 0.1), ("box", 1.0)):
        value = frames[0]["value"] - 0.05
        frame = pd.DataFrame({"quantity": "trained", "baseline": baseline, "value": value, "error": 0.01})
        frames.append(frame.assign(inside=inside))
    table = pd.concat([frame.assign(ln_train_loss=X, metric="test_accuracy") for frame in frames])
    return table.dropna(subset="value").assign(units=6, dof=5.0).reset_index(drop=True)


def low_loss_table(
    widths: tuple[int, ...] = (4, 6, 8),
    missing: int | None = None,
    metric: str = "test_accuracy",
    baselines: tuple[str, ...] = ("free", "box"),
) -> pd.DataFrame:
    rows = []
    for width in widths:
        advantage = np.nan if width == missing else 0.2 / width
        values = {("equilibrium", ""): 0.8}
        for baseline in baselines:
            values |= {("trained", baseline): 0.8 - advantage, ("advantage", baseline): advantage}
        common = {"error": 0.01, "units": 8, "dof": 7.0, "lower": -1.5, "upper": -1.0, "columns": 5, "width": width}
        common |= {"metric": metric, "experiment": "spiral", "train_points": np.nan}
        for (quantity, baseline), value in values.items():
            row = {"variant": f"width-{width}", "quantity": quantity, "baseline": baseline, "value": value}
            rows.append(row | common)
    return pd.DataFrame(rows)


def training() -> pd.DataFrame:
    """Of what training leaves behind, the columns that count the runs."""
    return pd.DataFrame({"optimizer": "sgd", "protocol": ["free", "box"] * 6, "run": np.arange(12) // 2})


# Tasks sampled by molecular dynamics, as the verbs leave them; S is known (`synthetic.dynamics_entropy`).


@dataclass(frozen=True)
class Task:
    """What the files of one variant hold."""

    landscape: xr.Dataset
    training: pd.DataFrame
    curves: pd.DataFrame
    low_loss: pd.DataFrame


def task(
    kind: str, experiment: str = "task", width: int = 8, seed: int = 0, train_points: int | None = None, **options: Any
) -> Task:
    """A variant of a task whose test metric is `kind`; `options` are those of `synthetic.dynamics_run`."""
    random, grid = np.random.default_rng(seed), synthetic.dynamics_grid(kind)
    variant = f"width-{width}" + (f"-points-{train_points}" if train_points else "")
    procedure = {"procedure": "molecular_dynamics", "integrator": "baoab"}
    y = {"kind": kind, "epsilon": synthetic.EPSILON}
    stored = {"experiment": experiment, "variant": variant, "procedure": procedure, "observables": {"y": y}}
    found = merge([synthetic.dynamics_run(random, grid, **{"walkers": 4} | options) for _ in range(2)])
    found = found.assign_attrs(
        settings=json.dumps(stored),
        procedure="molecular_dynamics",
        moves=200_000,
        updates=4_800_000,
        seconds=95.0,
        peak_memory_mb=812.5,
        walkers=4,
        replicas=2,
        device="cpu",
        code_digest="0123456789abcdef",
        seeds=[f"{experiment}/0", f"{experiment}/1"],
        versions='{"numpy":"2"}',
    )
    reached = training_runs(kind, random)
    settings = Analysis(low_loss=(-3.0, -2.0), generalising=0.0 if kind == "ln_test_loss" else 0.7, confidence=0.95)
    tables = curve_table_of(found, reached, grid, settings), low_loss_table_of(found, reached, grid, settings)
    points = np.nan if train_points is None else float(train_points)
    low_loss = tables[1].assign(experiment=experiment, variant=variant, width=width, train_points=points)
    return Task(found, reached, tables[0], low_loss)


def training_runs(kind: str, random: np.random.Generator, runs: int = 12) -> pd.DataFrame:
    """Runs of every optimizer and protocol that fall in loss and stay a little worse than the ridge of the map."""
    frames = []
    step = np.arange(60)
    worse = {("sgd", "free"): 0.6, ("sgd", "box"): 0.2, ("adam", "free"): 0.8, ("adam", "box"): 0.35}
    for (optimizer, protocol), shift in worse.items():
        for run in range(runs):
            x = 0.3 - 0.06 * step + random.normal(0, 0.05, len(step)).cumsum()
            width = synthetic.KINDS[kind][2]
            y = synthetic.KINDS[kind][1](x) - sign(kind) * width * (shift - 0.2 * x) + random.normal(0, width / 2)
            frame = {"optimizer": optimizer, "protocol": protocol, "run": run, "step": step, "ln_train_loss": x}
            frame |= {"inside": protocol == "box", kind: y}
            if kind != "ln_test_loss":
                smooth = Metric(kind, synthetic.EPSILON).natural(y)
                frame |= {"test_accuracy": np.clip(smooth + 0.03, 0, 1)}
            frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def regression_data(columns: list[str] | None = None) -> TaskData:
    """Targets that depend on the third of five inputs."""
    random = np.random.default_rng(0)
    x = random.normal(size=(260, 5))
    y = 0.8 * x[:, 2] + 0.6 * random.normal(size=260)
    provenance = {"columns": columns} if columns else {}
    return TaskData(x[:100], y[:100], x[100:], y[100:], None, provenance)


def image_data(classes: int = 10, channels: int = 1, stand_in: str = "") -> TaskData:
    """Blurred blocks whose place tells the class."""
    random = np.random.default_rng(1)
    y = np.arange(classes * 32) % classes
    x = 0.3 * random.normal(size=(len(y), channels, 7, 7))
    for image, label in zip(x, y, strict=True):
        image[:, label % 5 : label % 5 + 3, label // 2 % 5 : label // 2 % 5 + 3] += 2.0
    half = len(y) // 2
    return TaskData(x[:half], y[:half], x[half:], y[half:], classes, {"stand_in": stand_in})


# Modular arithmetic: memorising states are known beside generalising ones, and AdamW learns late.

GROKKING = Analysis(low_loss=(-3.0, -2.0), generalising=0.7, memorising=0.2, confidence=0.95)


def grokking_task(
    learns: bool = True,
    experiment: str = "modular_add",
    width: int = 32,
    seed: int = 0,
    domain: str = "box",
    visits: int = 40_000,
) -> Task:
    """A variant whose equilibrium generalises at low loss, or stays near chance; AdamW lags behind, less on a shell."""
    random, grid = np.random.default_rng(seed), synthetic.dynamics_grid("smoothed_accuracy")
    x, y = np.meshgrid(grid.x_centres, grid.y_values, indexing="ij")
    ridge = 0.08 + (0.85 if learns else 0.06) * expit(-(x + 1.2) / 0.25)
    entropy = (
        60 * np.minimum(x, 0) - 8 * np.maximum(x, 0) ** 2 - (y - ridge) ** 2 / (2 * (0.24 if learns else 0.1) ** 2)
    )
    runs = [
        synthetic.dynamics_run(random, grid, walkers=8, visits=visits, noise=0.1, entropy=entropy) for _ in range(2)
    ]
    variant = f"width-{width}"
    procedure = {"procedure": "molecular_dynamics", "integrator": "hmc"}
    observables = {"y": {"kind": "smoothed_accuracy"}}
    stored = {"experiment": experiment, "variant": variant, "procedure": procedure, "observables": observables}
    counts = {"moves": 4_300, "updates": 2_000_000, "seconds": 410.0, "walkers": 8, "replicas": 2}
    found = merge(runs).assign_attrs(settings=json.dumps(stored), procedure="molecular_dynamics", **counts)
    reached = grokking_runs(random, 0.9 if learns else 0.1, domain)
    tables = curve_table_of(found, reached, grid, GROKKING), low_loss_table_of(found, reached, grid, GROKKING)
    low_loss = tables[1].assign(experiment=experiment, variant=variant, width=width, train_points=np.nan)
    return Task(found, reached, tables[0], low_loss)


def grokking_runs(random: np.random.Generator, best: float, domain: str, runs: int = 15) -> pd.DataFrame:
    """Runs of AdamW that memorise first; those on a shell generalise sooner."""
    frames = []
    step = np.arange(90)
    late = {"free": 2.9, "box": 2.5, "shell": 1.5}
    for protocol in ("free", domain):
        for run in range(runs):
            x = 0.3 - 0.045 * step + random.normal(0, 0.03, len(step)).cumsum()
            y = 0.06 + best * expit(-(x + late[protocol] + random.normal(0, 0.1)) / 0.25)
            frame = {"optimizer": "adamw", "protocol": protocol, "run": run, "step": step, "ln_train_loss": x}
            frame |= {"inside": protocol == domain, "smoothed_accuracy": y, "test_accuracy": np.clip(y + 0.03, 0, 1)}
            frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)
