"""Baselines on a GPU: their steps and records are those of a CPU, but for rounding; their random numbers are others."""

import numpy as np
import pytest
import torch
from spiral_task import ADAMW
from test_training_elsewhere import DOMAINS, NETWORKS, RUNS, problem

from entroscape.config.settings import settings_for
from entroscape.files import read_dataset, read_table
from entroscape.training.baselines import build_step, init_state, measure
from entroscape.verbs import prepare, search, speed, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.mark.parametrize("domain", list(DOMAINS))
@pytest.mark.parametrize("kind", list(NETWORKS))
def test_steps_and_records_are_those_of_a_cpu(kind, domain):
    here, there = (problem(kind, domain, device) for device in ("cpu", "cuda"))
    start = init_state(here, RUNS, torch.Generator().manual_seed(1))._replace(position=0)  # the order as it is
    found = []
    for task in (here, there):
        state = start._replace(**{name: v.to(task.device) for name, v in start._asdict().items() if torch.is_tensor(v)})
        step = build_step(task, RUNS, 0.9, ADAMW)
        for _ in range(2):  # an epoch
            state = step(state, torch.Generator())
        found.append(measure(task, state.theta, 2))
    ours, known = found[1], found[0]
    torch.testing.assert_close(ours.theta.cpu(), known.theta, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.ln_train_loss, known.ln_train_loss, atol=1e-3)
    assert (ours.inside == known.inside).all()


def test_the_verbs_say_which_device_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    names, data, grid = ("modular_add", "width-8"), tmp_path / "data.nc", tmp_path / "search.parquet"
    settings = {verb: settings_for(verb, *names, "smoke") for verb in ("search", "train", "sample")}
    prepare.run(settings_for("prepare", "modular_add", None, "smoke"), output=data)
    search.run(settings["search"], data=data, output=grid, threads=1, device="auto")
    written = dict(output=tmp_path / "curves.parquet", seeds=tmp_path / "seeds.nc")
    train.run(settings["train"], data=data, search=grid, **written, threads=1, device="cuda")
    curves = read_table(written["output"])
    assert read_table(grid).attrs["device"] == curves.attrs["device"] == "cuda"
    assert np.isfinite(curves["ln_train_loss"]).mean() > 0.5 and len(read_dataset(written["seeds"])["theta"])
    timed = dict(data=data, output=tmp_path / "speed.parquet", threads=1, device="cuda")
    speed.run(settings["sample"], (settings["search"], settings["train"]), **timed)
    assert set(read_table(timed["output"])["device"]) == {"cuda"}
