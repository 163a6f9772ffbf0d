"""The loop around a sampler: steps, checkpoints, signals."""

import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest

from entroscape.sampling import checkpoint
from entroscape.sampling.run import Interrupted, drive


@dataclass
class Counter:
    steps: int
    total: np.ndarray
    generators: list


def counter(steps=0) -> Counter:
    return Counter(steps, np.zeros(1), [np.random.Generator(np.random.PCG64(1))])


def count(problem, state, pool) -> float:
    """One step; `problem` says what happens at which step."""
    state.total += sum(pool.map(lambda _: 1, range(3)))
    state.steps += 1
    if state.steps in problem:
        os.kill(os.getpid(), problem[state.steps])
    return float(state.total[0])


def run(path, problem=(), state=None, seconds=1e9, steps=5):
    options = dict(steps=steps, threads=2, checkpoint_path=path, checkpoint_seconds=seconds, identity={"run": 1})
    return list(drive(count, dict(problem), state or counter(), **options))


def test_yields_after_every_step_and_ends_with_the_last(tmp_path):
    state = counter()
    assert run(tmp_path / "c.npz", state=state) == [(i, 3.0 * i) for i in range(1, 6)]
    assert state.steps == 5
    assert not (tmp_path / "c.npz").exists(), "nothing was due"
    assert run(tmp_path / "c.npz", state=counter(5)) == []
    assert [done for done, _ in run(tmp_path / "c.npz", state=counter(3))] == [4, 5]


def test_checkpoint_after_every_step_when_none_takes_that_long(tmp_path):
    run(tmp_path / "c.npz", seconds=0.0)
    assert checkpoint.load(tmp_path / "c.npz", Counter, {"run": 1}).total[0] == 15


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops_after_the_step(tmp_path, number):
    path, before = tmp_path / "c.npz", signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        run(path, {3: number})
    assert str(caught.value) == f"stopped by {number.name}; {path} holds the state, run again to continue"
    assert signal.getsignal(number) is before
    state = checkpoint.load(path, Counter, {"run": 1})
    assert state.steps == 3
    assert run(path, state=state)[-1] == run(path)[-1] == (5, 15.0)


def test_handlers_come_back_when_a_step_fails(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TypeError):
        list(drive(None, None, counter(), steps=1, threads=1, checkpoint_path=tmp_path / "c.npz",
                   checkpoint_seconds=1.0, identity={}))  # fmt: skip
    assert signal.getsignal(signal.SIGTERM) is before
