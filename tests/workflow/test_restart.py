"""A sampling job that is killed, stopped, or cannot write: nothing is lost, and it ends as an unbroken one does."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from entroscape.config.data import SpiralData
from entroscape.config.settings import PrepareSettings, SampleSettings
from entroscape.errors import FileError
from entroscape.files import read_dataset, write_dataset
from entroscape.verbs import prepare, sample

WIDTH, PARAMETERS = 4, 22  # one hidden layer between two inputs and two classes
MARKED_STEP = 12
# The job tells when it is in the middle, so that the tests need not guess from the time that has passed.
JOB = f"""
import json, sys
from pathlib import Path
from entroscape.config.settings import SampleSettings
from entroscape.errors import EntroscapeError
from entroscape.sampling import cycles, molecular_dynamics, replica_exchange
from entroscape.verbs import sample

def marked(step):
    def marked_step(problem, state, pool):
        info = step(problem, state, pool)
        if state.steps == {MARKED_STEP}:
            print("in the middle", flush=True)
        return info
    return marked_step

for procedure in (replica_exchange, cycles, molecular_dynamics):
    procedure.step = marked(procedure.step)
settings, *paths = sys.argv[1:]
data, seeds, output, checkpoint = map(Path, paths)
try:
    sample.run(SampleSettings(**json.loads(settings)), replica=0, data=data, seeds=seeds, output=output,
               checkpoint_path=checkpoint, threads=1)
except EntroscapeError as problem:
    sys.exit(f"{{type(problem).__name__}}: {{problem}}")
"""


def values(procedure="replica_exchange", checkpoint_seconds=1e-3, **changes) -> dict:
    """Settings as plain values, since a dump of the model leaves out what does not affect results."""
    common = dict(procedure=procedure, replicas=2, checkpoint_seconds=checkpoint_seconds)
    windows = [(-0.4, 0.5), (-0.7, 0.0)]
    adapted = dict(initial=0.3, max=1.0, grow=1.1, shrink=0.9, acceptance_low=0.3, acceptance_high=0.7)
    procedures = dict(
        replica_exchange=dict(
            walkers=2,
            windows=windows,
            moves=dict(explore=80_000, refine=80_000, production=320_000),
            moves_per_round=8_000,
            factor=0.05,
            depth=8.0,
            step_size=adapted,
        ),
        cycles=dict(
            instances=2,
            cycles=60,
            moves_per_cycle=30_000,
            factor_scale=5.0,
            factor_offset=10.0,
            unequilibrated_factor=0.001,
            step_size=adapted,
        ),
        molecular_dynamics=dict(
            walkers=4,
            windows=windows,
            steps=dict(explore=80, refine=40, production=120),  # the middle is within the exploration
            steps_per_round=5,
            integrator="baoab",
            time_step=dict(initial=0.02, acceptance=0.99),
            friction=1.0,
            factor=0.005,
            deposit_width=1.0,
            schedule=dict(kind="inverse_time"),
            depth=8.0,
            confinement=dict(x=50.0, y=50.0),
        ),
    )
    y = dict(kind="test_accuracy")
    if procedure == "molecular_dynamics":
        y = dict(kind="smoothed_accuracy", slope=5.0, axis=dict(min=0.0, max=1.0, bin_width=0.1))
    return dict(
        experiment="spiral",
        variant="width-4",
        network=dict(depth=1, width=WIDTH, box_factor=2.0),
        train_points=None,
        seed=0,
        observables=dict(ln_train_loss=dict(min=-0.9, max=0.5, bin_width=0.1), y=y),
        procedure=common | procedures[procedure] | changes,
    )


def settings(**changes) -> SampleSettings:
    """The usual settings, with changes to the procedure."""
    return SampleSettings(**values(**changes))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """Data and start states."""
    folder = tmp_path_factory.mktemp("inputs")
    data = SpiralData(
        kind="spirals",
        train_points_per_class=10,
        test_points_per_class=15,
        radius_min=1.0,
        radius_max=5.0,
        angle_per_radius=2.0,
        noise=0.1,
        seed=1,
    )
    prepare.run(PrepareSettings(experiment="spiral", data=data), output=folder / "data.nc")
    states = np.random.default_rng(0).uniform(-1, 1, (300, PARAMETERS))
    write_dataset(xr.Dataset({"theta": (("state", "parameter"), states)}), folder / "seeds.nc")
    return dict(data=folder / "data.nc", seeds=folder / "seeds.nc")


@pytest.fixture(scope="module")
def start(inputs, compiled):
    """Function that starts the job in a process of its own."""
    environment = os.environ | {"ENTROSCAPE_CACHE_DIR": str(compiled)}
    started: list[subprocess.Popen] = []

    def run(which: dict, output: Path, checkpoint: Path) -> subprocess.Popen:
        arguments = [json.dumps(which), *inputs.values(), output, checkpoint]
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, *map(str, arguments)],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def unbroken(inputs, tmp_path_factory):
    """Function that gives the bytes of an undisturbed run with the same settings, made in this process."""
    known: dict[str, bytes] = {}

    def run(which: dict) -> bytes:
        key = json.dumps(which)
        if key not in known:
            folder = tmp_path_factory.mktemp("unbroken")
            places = dict(output=folder / "output.nc", checkpoint_path=folder / "run.npz")
            sample.run(SampleSettings(**which), replica=0, **inputs, **places, threads=1)
            assert [path.name for path in folder.iterdir()] == ["output.nc"], "the checkpoint is deleted at the end"
            known[key] = (folder / "output.nc").read_bytes()
        return known[key]

    return run


def finish(process: subprocess.Popen, code: int = 0) -> str:
    """Wait for the end; what the job wrote to stderr."""
    errors = process.communicate()[1]
    assert process.returncode == code, errors
    return errors


def interrupt(process: subprocess.Popen, number: signal.Signals) -> str:
    """Send a signal in the middle of the run; what the job wrote to stderr."""
    assert process.stdout.readline() == "in the middle\n", process.communicate()[1]
    process.send_signal(number)
    return process.communicate()[1]


DYNAMICS = dict(procedure="molecular_dynamics")
# The middle of the run lies in another stage; a trajectory's length and its Metropolis test are random numbers too.
PRODUCTION = DYNAMICS | dict(steps=dict(explore=20, refine=20, production=120))
HMC = PRODUCTION | dict(integrator="hmc", leapfrog_steps=2, jitter=0.2, time_step=dict(initial=0.02, acceptance=0.8))


@pytest.mark.parametrize(
    "changes",
    [{}, dict(procedure="cycles"), DYNAMICS, HMC],
    ids=["replica_exchange", "cycles", "exploring dynamics", "hmc"],
)
def test_killed_and_started_again_ends_with_equal_bytes(start, unbroken, tmp_path, changes):
    output, checkpoint = tmp_path / "output.nc", tmp_path / "run.npz"
    which = values(**changes)
    process = start(which, output, checkpoint)
    interrupt(process, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.exists() and not output.exists()
    finish(start(which, output, checkpoint))
    assert not checkpoint.exists()
    assert output.read_bytes() == unbroken(which)


@pytest.mark.parametrize("procedure", ["replica_exchange", "molecular_dynamics"])
def test_sigterm_saves_stops_and_goes_on_later(start, unbroken, tmp_path, procedure):
    output, checkpoint = tmp_path / "output.nc", tmp_path / "run.npz"
    which = values(procedure, checkpoint_seconds=1e6)  # no checkpoint but the one of the signal
    process = start(which, output, checkpoint)
    errors = interrupt(process, signal.SIGTERM)
    assert process.returncode == 1
    assert f"Interrupted: stopped by SIGTERM; {checkpoint} holds the state, run again to continue" in errors
    assert "Traceback" not in errors
    assert checkpoint.exists() and not output.exists()
    finish(start(which, output, checkpoint))
    assert output.read_bytes() == unbroken(values(procedure)), "how often it is saved does not matter"


def test_molecular_dynamics_on_two_threads_gives_equal_bytes_again(inputs, tmp_path):
    threads, outputs = torch.get_num_threads(), [tmp_path / "first.nc", tmp_path / "second.nc"]
    try:
        for output in outputs:
            sample.run(
                SampleSettings(**values("molecular_dynamics")),
                replica=0,
                **inputs,
                output=output,
                checkpoint_path=tmp_path / "run.npz",
                threads=2,
            )
    finally:
        torch.set_num_threads(threads)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.fixture(scope="module")
def interrupted(start, tmp_path_factory) -> bytes:
    """Content of a checkpoint in the middle."""
    folder = tmp_path_factory.mktemp("interrupted")
    interrupt(start(values(), folder / "output.nc", folder / "run.npz"), signal.SIGKILL)
    return (folder / "run.npz").read_bytes()


@pytest.fixture
def afresh(inputs, unbroken, tmp_path, caplog):
    """Function that runs from a checkpoint that cannot be continued; what the log says of it."""
    given: list[bytes] = []

    def run(content: bytes, changes: dict | None = None, data: Path | None = None, replica: int = 0) -> str:
        path, which, output = tmp_path / "run.npz", values(**changes or {}), tmp_path / "output.nc"
        path.write_bytes(content)
        places = inputs | ({"data": data} if data else {})
        with caplog.at_level("WARNING"):
            sample.run(
                SampleSettings(**which), replica=replica, **places, output=output, checkpoint_path=path, threads=1
            )
        given.append(content)
        kept = sorted(path.read_bytes() for path in tmp_path.glob("run.unused*.npz"))
        assert kept == sorted(given), "nothing is lost, whatever was kept before"
        assert not path.exists()
        assert data or replica or output.read_bytes() == unbroken(which)
        return caplog.text

    return run


def test_a_checkpoint_of_another_config_is_set_aside(interrupted, afresh):
    said = afresh(interrupted, dict(factor=0.04))
    assert "run.npz belongs to another run (settings.procedure.factor: 0.05 there, 0.04 here): it is kept as" in said


def test_a_checkpoint_of_other_data_is_set_aside(inputs, interrupted, afresh, tmp_path):
    data = read_dataset(inputs["data"])
    write_dataset(data.assign(x_train=data.x_train + 1e-9), tmp_path / "other" / "data.nc")
    assert "(inputs.data.nc: " in afresh(interrupted, data=tmp_path / "other" / "data.nc")


def test_a_checkpoint_of_another_replica_is_set_aside(interrupted, afresh):
    assert "(replica: 0 there, 1 here)" in afresh(interrupted, replica=1)


def test_a_truncated_checkpoint_is_set_aside(interrupted, afresh):
    for length in (0, 100, len(interrupted) // 2, len(interrupted) - 1):
        assert "is damaged" in afresh(interrupted[:length])


def test_start_states_of_another_network_are_refused(inputs, tmp_path):
    write_dataset(xr.Dataset({"theta": (("state", "parameter"), np.zeros((5, 30)))}), tmp_path / "seeds.nc")
    places = inputs | dict(seeds=tmp_path / "seeds.nc", output=tmp_path / "output.nc")
    with pytest.raises(FileError, match=r"seeds\.nc holds no states of a network of 22 parameters: delete it"):
        sample.run(settings(), replica=0, **places, checkpoint_path=tmp_path / "run.npz", threads=1)


def test_an_output_that_cannot_be_written_keeps_the_checkpoint(start, unbroken, tmp_path):
    """A file lies where the folder should be: nobody can write there, not even root."""
    (tmp_path / "results").write_text("not a folder")
    output, checkpoint = tmp_path / "results" / "output.nc", tmp_path / "run.npz"
    errors = finish(start(values(), output, checkpoint), code=1)
    assert f"FileError: {output} cannot be written" in errors and "Traceback" not in errors
    assert checkpoint.exists()
    (tmp_path / "results").unlink()
    finish(start(values(), output, checkpoint))
    assert output.read_bytes() == unbroken(values())


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk, and only Linux has tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)]
    mount = subprocess.run(command, capture_output=True, text=True, check=False)
    if mount.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take up all space that is left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"x" * 4096):
            pass
    return path


def test_a_full_disk_keeps_the_checkpoint(start, unbroken, interrupted, small_disk):
    output, checkpoint = small_disk / "output.nc", small_disk / "run.npz"
    checkpoint.write_bytes(interrupted)
    filler = fill(small_disk)
    errors = finish(start(values(), output, checkpoint), code=1)
    assert f"FileError: {checkpoint} cannot be written (No space left on device): free some disk space" in errors
    assert "the earlier file is unchanged" in errors and "Traceback" not in errors
    assert checkpoint.read_bytes() == interrupted
    assert sorted(path.name for path in small_disk.iterdir()) == ["filler", "run.npz"]
    filler.unlink()
    finish(start(values(), output, checkpoint))
    assert output.read_bytes() == unbroken(values())
