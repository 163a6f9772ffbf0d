"""A real Slurm of one node that poses as eight CPUs and two GPUs, below a scratch folder, for as long as tests run."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo")
ETC = Path("/etc/slurm")  # jobs of Snakemake lose SLURM_CONF, so the configuration must lie where Slurm looks by itself
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

SLURM = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0
ReturnToService=2
MinJobAge=43200
KillWait=2
OverTimeLimit=0
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=60
MailProg=/bin/true
GresTypes=gpu,shard
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 \
RealMemory=16000 Gres=gpu:h100:2,shard:4 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1-0 DefaultTime=10:00 DefMemPerCPU=200 State=UP
PartitionName=gpus Nodes={host} MaxTime=1-0 DefaultTime=10:00 DefMemPerCPU=200 State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here, "" if one can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "starting a Slurm needs root"
    absent = [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: munge slurmctld slurmd slurm-client)"
    if (ETC / "slurm.conf").exists():
        return f"{ETC}/slurm.conf belongs to another Slurm"
    return ""


class OneNode:
    """Start with `with`; everything it starts is stopped at the end."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.host = socket.gethostname().partition(".")[0]
        self.daemons: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "OneNode":
        try:
            self._configure()
            self.start_munge()
            self.start_controller()
            self.start_node()
            self._wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.SubprocessError, OSError, TimeoutError):
            for job in self.jobs():
                self.cancel(job)
            wait(
                lambda: not self.ask("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING").strip(),
                "jobs do not end",
            )
        for name in reversed(list(self.daemons)):
            self.stop(name)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)

    def start_munge(self) -> None:
        """Start the daemon of authentication, with a key of its own."""
        place = self.folder / "munge"
        options = [f"--{name}-file={place / name}" for name in ("key", "pid", "log", "seed")]
        self._start("munged", *options, f"--socket={place / 'socket'}", "--foreground", "--force")
        wait(lambda: (place / "socket").exists(), "munged makes no socket")

    def start_controller(self) -> None:
        """Start slurmctld, without the state of an earlier one."""
        self._start("slurmctld", "-D", "-c")

    def start_node(self) -> None:
        """Start slurmd."""
        self._start("slurmd", "-D", "-N", self.host)

    def stop(self, name: str) -> None:
        """Stop a daemon that was started here."""
        process = self.daemons.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def jobs(self) -> dict[str, str]:
        """State of every job that is not over: {id: state}."""
        lines = self.ask("squeue", "--noheader", "--states=PENDING,RUNNING", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def started(self, job: str) -> float:
        """Unix time at which a job began."""
        return datetime.fromisoformat(
            self.ask("squeue", "--noheader", "--jobs", job, "--format=%S").strip()
        ).timestamp()

    def cancel(self, job: str) -> None:
        """Cancel a job, as its owner would."""
        self.ask("scancel", job)

    def ask(self, *command: str) -> str:
        """What a command of Slurm says; raises CalledProcessError."""
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def _configure(self) -> None:
        for name in ("munge", "state", "spool", "dev"):
            (self.folder / name).mkdir(parents=True)
        for number in (0, 1):
            subprocess.run(["mknod", str(self.folder / f"dev/gpu{number}"), "c", "1", "3"], check=True)
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o755)
        files = {
            "slurm.conf": SLURM.format(host=self.host, folder=self.folder),
            "gres.conf": f"NodeName={self.host} Name=gpu Type=h100 File={self.folder}/dev/gpu[0-1]\n"
            f"NodeName={self.host} Name=shard Count=4\n",
        }
        ETC.mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / name).write_text(text)
            (ETC / name).symlink_to(self.folder / name)

    def _start(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            program = shutil.which(name, path=SEARCH)
            assert program is not None
            self.daemons[name] = subprocess.Popen([program, *options], stdout=log, stderr=log)

    def _wait_until_idle(self) -> None:
        def idle() -> bool:
            with suppress(subprocess.CalledProcessError):
                return self.ask("sinfo", "--noheader", "--format=%T").strip() == "idle"
            return False

        wait(idle, f"the node does not become idle, see {self.folder}/*.log")


def wait(condition: Callable[[], bool], sentence: str, seconds: float = 30.0) -> None:
    """Wait until something holds; raises TimeoutError with the sentence."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(sentence)
        time.sleep(0.2)
