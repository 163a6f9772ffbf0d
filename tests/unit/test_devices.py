"""Which device a job takes."""

import multiprocessing
import tempfile
from types import SimpleNamespace

import pytest
import torch

from entroscape import devices
from entroscape.errors import ConfigError


@pytest.fixture
def taken(monkeypatch, tmp_path) -> list[int]:
    """Numbers of the GPUs that become the current one, on a machine that seems to have three."""
    taken: list[int] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=f"GPU-{number}"))
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    return taken


def test_jobs_spread_over_the_gpus_of_a_machine(taken):
    assert [devices.chosen(wanted) for wanted in ("cuda", "auto", "cuda", "auto")] == ["cuda"] * 4
    assert taken == [0, 1, 2, 0]


def test_a_gpu_is_free_again_when_the_job_ends(taken):
    job = multiprocessing.get_context("fork").Process(target=devices.chosen, args=("cuda",))
    job.start()
    job.join()
    assert job.exitcode == 0
    devices.chosen("cuda")
    assert taken == [0]


def test_no_gpu_is_taken_for_the_cpu(taken):
    assert devices.chosen("cpu") == "cpu" and taken == []


def test_a_single_gpu_needs_no_choice(taken, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.chosen("auto") == "cuda" and taken == []


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.chosen("auto") == "cpu"
    with pytest.raises(ConfigError, match="torch finds no GPU here; use auto or cpu"):
        devices.chosen("cuda")
