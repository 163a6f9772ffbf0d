"""Snakemake on a real Slurm of one node: figures come out as typed, and what clusters do to jobs does no harm."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from one_node import OneNode, missing, wait
from project import Project

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a Slurm can be started")

PROFILE = ("--profile", "slurm")
# Asks sooner than the profile does, for the jobs here take seconds.
QUICK = (*PROFILE, "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5")
FIGURES = ("EA-1",)
DYNAMICS = "results/smoke/landscapes/spiral/wlmd.nc"
REPLICA = "results/smoke/replicas/spiral/width-4/0.nc"
CHECKPOINT = "results/smoke/checkpoints/spiral/width-4/0.npz"
LOG = "results/smoke/logs/sample/spiral/width-4/0.log"


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[OneNode]:
    with OneNode(tmp_path_factory.mktemp("slurm")) as node:
        yield node


@pytest.fixture(scope="module")
def finished(node, tmp_path_factory) -> Project:
    """A copy of the project after a run on Slurm, as a user types it."""
    project = Project.copy(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cache"))
    run = project.snakemake(*PROFILE, targets=["spiral", DYNAMICS])
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return project


def test_figures_and_a_landscape_by_molecular_dynamics_come_out(finished):
    for figure in FIGURES:
        assert (finished.folder / f"results/smoke/figures/{figure}.png").stat().st_size > 500
    assert (finished.folder / DYNAMICS).exists()
    command, job = (finished.folder / LOG).read_text().splitlines()[:2]
    assert command.startswith("$ entroscape sample ") and job.startswith("Slurm job ")
    assert finished.to_do("spiral", DYNAMICS) == {}, "a run without Slurm sees the same results"


@pytest.fixture(scope="module")
def longer(finished, tmp_path_factory) -> Callable[[], Project]:
    """Function that copies the finished project, where one replica is to be sampled anew, for longer."""

    def copy(results: Path | None = None) -> Project:
        folder = tmp_path_factory.mktemp("disturbed")
        shutil.copytree(finished.folder, folder, symlinks=True, dirs_exist_ok=True)
        if results is not None:
            shutil.copytree(folder / "results", results, dirs_exist_ok=True)
            shutil.rmtree(folder / "results")
            (folder / "results").symlink_to(results)
        path = folder / "config/scales/smoke.yaml"
        text = path.read_text()
        place = text.index("production: 600_000", text.index("other_widths"))
        path.write_text(text[:place] + text[place:].replace("production: 600_000", "production: 12_000_000", 1))
        return Project(folder, Path(finished.environment["ENTROSCAPE_CACHE_DIR"]))

    return copy


@pytest.fixture(scope="module")
def unbroken(longer) -> bytes:
    """The replica of an undisturbed run, on this machine and without Slurm."""
    project = longer()
    run = project.snakemake("--cores", "1", targets=[REPLICA])
    assert run.returncode == 0, run.stderr[-3000:]
    return (project.folder / REPLICA).read_bytes()


class Running:
    """Snakemake at work on Slurm."""

    def __init__(self, project: Project, node: OneNode, *options: str):
        self.project, self.node, self.seen = project, node, set(node.jobs())
        with (project.folder / "snakemake.log").open("a") as log:
            self.process = subprocess.Popen(
                project.command(*QUICK, *options, targets=[REPLICA]),
                cwd=project.folder,
                env=project.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def sampling(self) -> str:
        """Id of the next job, once it has saved something of its own."""
        job = ""

        def started() -> bool:
            nonlocal job
            job = next((one for one, state in self.node.jobs().items() if one not in self.seen), "")
            log = self.project.folder / LOG
            return bool(job) and log.exists() and f"Slurm job {job} " in log.read_text()

        wait(started, f"no job starts: {self.said()[-2000:]}", 120)
        self.seen.add(job)
        began = time.time()
        checkpoint = self.project.folder / CHECKPOINT
        wait(lambda: checkpoint.exists() and checkpoint.stat().st_mtime > began, "nothing is saved", 60)
        return job

    def said(self) -> str:
        return (self.project.folder / "snakemake.log").read_text()

    def finish(self) -> bytes:
        """The replica, once Snakemake is done with it."""
        assert self.process.wait(300) == 0, self.said()[-3000:]
        return (self.project.folder / REPLICA).read_bytes()


def test_a_job_cancelled_twice_goes_on(node, longer, unbroken):
    running = Running(longer(), node)
    for _ in range(2):
        node.cancel(running.sampling())
    assert running.finish() == unbroken
    assert "going on from" in (running.project.folder / LOG).read_text()


def test_a_job_at_its_time_limit_saves_and_goes_on(node, longer):
    project = longer()
    path = project.folder / "config/scales/smoke.yaml"
    path.write_text(path.read_text().replace("production: 12_000_000", "production: 36_000_000"))
    running = Running(project, node, "--set-resources", "sample_landscape:runtime=1")
    running.finish()
    assert "going on from" in (project.folder / LOG).read_text()
    assert "the time limit of this job" in running.said() or "TIMEOUT" not in running.said()


def test_snakemake_killed_and_started_again(node, longer, unbroken):
    running = Running(longer(), node)
    running.sampling()
    running.process.kill()
    running.process.wait()
    locked = running.project.snakemake(*QUICK, targets=[REPLICA])
    assert locked.returncode != 0 and "locked" in locked.stdout + locked.stderr
    assert running.project.snakemake("--unlock").returncode == 0
    assert Running(running.project, node).finish() == unbroken


def test_a_second_snakemake_leaves_everything_alone(node, longer, unbroken):
    running = Running(longer(), node)
    running.sampling()
    before = node.jobs()
    second = running.project.snakemake(*QUICK, targets=[REPLICA])
    assert second.returncode != 0 and "locked" in second.stdout + second.stderr
    assert node.jobs() == before
    assert running.finish() == unbroken


def test_a_daemon_that_restarts_does_not_disturb(node, longer, unbroken):
    running = Running(longer(), node)
    running.sampling()
    node.stop("slurmd")
    time.sleep(2)
    node.start_node()
    assert running.finish() == unbroken


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    command = ["mount", "-t", "tmpfs", "-o", "size=64M", "tmpfs", str(tmp_path)]
    mount = subprocess.run(command, capture_output=True, text=True, check=False)
    if mount.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mount.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_disk_that_is_full_for_a_while(node, longer, unbroken, small_disk):
    running = Running(longer(small_disk), node)
    running.sampling()
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
    wait(lambda: "Error in rule sample_landscape" in running.said(), "a full disk goes unnoticed", 120)
    filler.unlink()
    assert running.finish() == unbroken
