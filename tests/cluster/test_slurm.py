"""Snakemake on a real Slurm of one node: figures come out, and what clusters do to jobs does no harm."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from one_node import OneNode, missing, wait
from preloaded import preloaded
from project import Project

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a Slurm can be started")

# Asks sooner than the profile does, for the jobs here take seconds.
SLURM = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5")
GROUPED = ["--groups", "sample_landscape=sampling", "--group-components", "sampling=2"]
TARGETS = ["spiral", "results/smoke/landscapes/spiral/width-6-wlmd.nc"]
REPLICA = "results/smoke/replicas/spiral/width-4/0.nc"
CHECKPOINT = "results/smoke/checkpoints/spiral/width-4/0.npz"
LOG = "results/smoke/logs/sample/spiral/width-4/0.log"


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[OneNode]:
    with OneNode(tmp_path_factory.mktemp("slurm")) as node:
        yield node


@pytest.fixture(scope="module")
def finished(node, compiled, tmp_path_factory) -> Project:
    """A copy of the project after a run on Slurm, whose jobs need not load the libraries; those of the cases do."""
    project = Project.copy(tmp_path_factory.mktemp("project"), compiled)
    with preloaded() as variables:
        run = project.with_variables(variables).snakemake(*SLURM, targets=TARGETS)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return project


def test_figures_and_a_landscape_by_molecular_dynamics_come_out(finished):
    assert (finished.folder / "results/smoke/figures/EA-1.png").stat().st_size > 500
    assert (finished.folder / TARGETS[1]).exists()
    command, job = (finished.folder / LOG).read_text().splitlines()[:2]
    assert command.startswith("$ entroscape sample ") and job.startswith("Slurm job ")
    assert finished.to_do(*TARGETS) == {}, "a run without Slurm sees the same results"


# How jobs get their GPUs: options, configuration, what is asked for and where.
ON_GPUS = {
    "parts of a GPU": ([], ["gpu_share=shard:1"], {"gres:shard:1 main"}),
    "two replicas at once in one job": ([*GROUPED, "--resources", "gpu=2"], [], {"gres:gpu:2 main"}),
    "two replicas in turns in one job": (GROUPED, [], {"gres:gpu:1 main"}),
    "a kind of GPU in a partition of its own": (
        ["--slurm-partition-config", "profiles/slurm/partitions.yaml"],
        ["gpu_model=h100"],
        {"gres:gpu:h100:1 gpus", "main"},
    ),
}


def asked_of_slurm(node: OneNode, project: Project, options: list[str], config: list[str]) -> set[str]:
    """What jobs ask for that sample: two replicas in a group, or one; with partitions, one by Monte Carlo too."""
    partitions = project.folder / "profiles/slurm/partitions.yaml"
    names = {"my_partition": "main", "my_gpu_partition": "gpus"}
    partitions.write_text(re.sub("|".join(names), lambda found: names[found[0]], partitions.read_text()))
    by_dynamics = [f"results/smoke/replicas/spiral/width-6-wlmd/{number}.nc" for number in (0, 1)]
    replicas = by_dynamics if "--groups" in options else by_dynamics[:1] + [REPLICA] * ("gpu_model=h100" in config)
    for replica in replicas:
        (project.folder / replica).unlink()
    command = project.command(*SLURM, *options, targets=replicas, config=["device=auto", *config])
    form = "--Format=tres-per-job:30,tres-per-node:30,partition:30,WorkDir:300"
    asked: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(project.run, command)
        while not run.done():
            for *words, place in map(str.split, node.ask("squeue", "--noheader", form).splitlines()):
                asked |= {" ".join(word for word in words if word != "N/A")} if place == str(project.folder) else set()
            time.sleep(0.5)
    assert run.result().returncode == 0, run.result().stdout[-3000:] + run.result().stderr[-3000:]
    assert all((project.folder / replica).exists() for replica in replicas)
    return asked


def longer(finished: Project, folder: Path, results: Path | None = None) -> Project:
    """A copy of the finished project where one replica is to be sampled anew, for longer, and saved often.

    results: where its results lie, if not in the folder.
    """
    project = finished.copy_to(folder)
    if results is not None:
        shutil.copytree(folder / "results", results, dirs_exist_ok=True)
        shutil.rmtree(folder / "results")
        (folder / "results").symlink_to(results)
    experiment, scale = folder / "config/experiments/spiral.yaml", folder / "config/scales/smoke.yaml"
    experiment.write_text(re.sub(r"checkpoint_seconds: \d+", "checkpoint_seconds: 1", experiment.read_text()))
    text = scale.read_text()
    place = text.index("production: 300_000", text.index("other_widths"))
    scale.write_text(text[:place] + text[place:].replace("production: 300_000", "production: 4_000_000", 1))
    return project


class Running:
    """Snakemake at work on Slurm, for the one replica."""

    def __init__(self, project: Project, node: OneNode, *options: str):
        self.project, self.node, self.seen = project, node, ""
        self.log = project.folder / "snakemake.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                project.command(*SLURM, *options, targets=[REPLICA]),
                cwd=project.folder,
                env=project.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def sampling(self) -> str:
        """Id of the next job, once it has saved something of its own."""
        log, checkpoint = self.project.folder / LOG, self.project.folder / CHECKPOINT

        def job() -> str:
            found = re.findall(r"Slurm job (\d+) ", log.read_text() if log.exists() else "")
            return found[0] if found and found[0] in self.node.jobs() else ""

        wait(lambda: job() not in {"", self.seen}, f"no job starts, see {self.log}", 600)
        self.seen, began = job(), time.time()
        wait(lambda: checkpoint.exists() and checkpoint.stat().st_mtime > began, "nothing is saved", 300)
        return self.seen

    def sampler(self) -> int:
        """Process that samples."""
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                here = (place / "cwd").resolve() == self.project.folder.resolve()
                words = (place / "cmdline").read_bytes().split(b"\0")
                if here and b"sample" in words and words[0].endswith(b"python"):
                    return int(place.name)
        raise LookupError("nothing samples")

    def finish(self) -> bytes:
        """The replica, once Snakemake is done with it."""
        assert self.process.wait(900) == 0, self.log.read_text()[-3000:]
        return (self.project.folder / REPLICA).read_bytes()


class Case:
    """What a case works with: a project of its own, and the Slurm that all share."""

    def __init__(self, node: OneNode, project: Project):
        self.node, self.project = node, project
        self.started: list[Running] = []

    def start(self, *options: str) -> Running:
        self.started.append(Running(self.project, self.node, *options))
        return self.started[-1]

    def stop(self) -> None:
        """Leave nothing behind, whatever has happened."""
        for running in self.started:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()

    def again(self) -> str:
        """What a second Snakemake says, which must not run."""
        second = self.project.snakemake(*SLURM, targets=[REPLICA])
        assert second.returncode != 0
        return second.stdout + second.stderr

    def said(self) -> str:
        """The log of the last attempt, and those that Slurm kept of earlier ones."""
        kept = (self.project.folder / ".snakemake/slurm_logs").rglob("*.log")
        return "".join(path.read_text() for path in [self.project.folder / LOG, *kept])


def cancelled_twice(case: Case) -> bytes:
    running = case.start()
    for _ in range(2):
        case.node.cancel(running.sampling())
    replica = running.finish()
    assert "going on from" in case.said()
    return replica


def at_its_time_limit(case: Case) -> bytes:
    """Slurm knows no limit below a minute, so the job is made to sleep through most of it."""
    running = case.start("--set-resources", "sample_landscape:runtime=1")
    job = running.sampling()
    with suppress(LookupError, ProcessLookupError, ValueError):  # where this machine is so slow that it is over already
        started, sampler = case.node.started(job), running.sampler()
        os.kill(sampler, signal.SIGSTOP)
        time.sleep(max(0.0, started + 57.3 - time.time()))
        os.kill(sampler, signal.SIGCONT)
    replica = running.finish()
    assert "going on from" in case.said()
    assert "stopped by the time limit of this job" in case.said() or "DUE TO TIME LIMIT" in case.said()
    return replica


def second_snakemake_and_the_first_killed(case: Case) -> bytes:
    running = case.start()
    job, log = running.sampling(), case.project.folder / LOG
    assert "locked" in case.again()
    assert f"Slurm job {job} on " in log.read_text(), "the job has been left alone"
    running.process.kill()
    running.process.wait()
    assert "locked" in case.again()
    assert case.project.snakemake("--unlock").returncode == 0
    return case.start().finish()


def daemon_restarted(case: Case) -> bytes:
    running = case.start()
    running.sampling()
    case.node.stop("slurmd")
    time.sleep(2)
    case.node.start_node()
    return running.finish()


def disk_full(case: Case) -> bytes:
    running = case.start()
    running.sampling()
    disk = (case.project.folder / "results").resolve()
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    wait(lambda: "Trying to restart" in running.log.read_text(), "a full disk goes unnoticed", 600)
    (disk / "filler").unlink()
    replica = running.finish()
    assert "No space left on device" in case.said() and "going on from" in case.said()
    return replica


CASES = (cancelled_twice, at_its_time_limit, second_snakemake_and_the_first_killed, daemon_restarted, disk_full)


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def outcomes(node, finished, small_disk, tmp_path_factory) -> Iterator[dict[str, Future]]:
    """What comes of every case. They run at the same time, since most of it is waiting.

    Jobs that are disturbed load the libraries themselves.
    """
    folder = tmp_path_factory.mktemp("cases")
    cases = {
        case: Case(node, longer(finished, folder / case.__name__, small_disk if case is disk_full else None))
        for case in CASES
    }
    with preloaded() as variables, ThreadPoolExecutor(len(CASES) + len(ON_GPUS)) as pool:
        found = {case.__name__: pool.submit(case, given) for case, given in cases.items()}
        for name, (options, config, _) in ON_GPUS.items():
            project = finished.copy_to(folder / name.replace(" ", "-")).with_variables(variables)
            found[name] = pool.submit(asked_of_slurm, node, project, options, config)
        yield found
        for case in cases.values():
            case.stop()


@pytest.fixture(scope="module")
def unbroken(finished, outcomes, tmp_path_factory) -> bytes:
    """The replica of an undisturbed run, without Slurm."""
    project = longer(finished, tmp_path_factory.mktemp("unbroken") / "project")
    run = project.snakemake("--cores", "1", targets=[REPLICA])
    assert run.returncode == 0, run.stderr[-3000:]
    return (project.folder / REPLICA).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_disturbed_ends_as_if_it_had_not_been(outcomes, unbroken, case: Callable[[Case], bytes]):
    assert outcomes[case.__name__].result(1800) == unbroken


@pytest.mark.parametrize("name", ON_GPUS)
def test_jobs_ask_for_the_gpus_that_they_shall_have(outcomes, name):
    assert outcomes[name].result(1800) == ON_GPUS[name][2]
