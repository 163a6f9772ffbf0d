"""A copy of the project in which tests run Snakemake and change files."""

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "config", "envs", "notebooks", "profiles", "slurm", "src", "workflow")


class Project:
    """A copy of the project, whose results are its own.

    Its library is that of the repository, so that what is compiled serves all copies, until `with_own_library`.
    """

    def __init__(self, folder: Path, cache: Path):
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "ENTROSCAPE_CACHE_DIR": str(cache)}

    @classmethod
    def copy(cls, folder: Path, cache: Path) -> "Project":
        """Copy to an existing folder what a run needs; compiled functions lie in `cache`."""
        for part in PARTS:
            source = ROOT / part
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, folder / part)
            else:
                shutil.copy2(source, folder / part, follow_symlinks=False)
        return cls(folder, cache)

    def copy_to(self, folder: Path) -> "Project":
        """The same with all its results, in a folder that does not exist yet."""
        shutil.copytree(self.folder, folder, symlinks=True)
        other = copy.copy(self)
        other.folder = folder
        return other

    def with_variables(self, variables: Mapping[str, str]) -> "Project":
        """The same, with further variables in its environment."""
        other = copy.copy(self)
        other.environment = {**self.environment, **variables}
        return other

    def with_own_library(self) -> "Project":
        """The same, which sees edits of its library."""
        return self.with_variables({"PYTHONPATH": str(self.folder / "src")})

    def command(
        self, *options: str, targets: Sequence[str] = (), scale: str = "smoke", config: Sequence[str] = ()
    ) -> list[str]:
        """What runs Snakemake; profiles/default says how many cores."""
        return [sys.executable, "-m", "snakemake", *options, "--config", f"scale={scale}", *config, "--", *targets]

    def snakemake(self, *options: str, **what) -> subprocess.CompletedProcess:
        """Run `command` to its end."""
        return self.run(self.command(*options, **what))

    def run(self, command: list[str]) -> subprocess.CompletedProcess:
        """Run any command in the project's folder."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False
        )

    def to_do(self, *targets: str, scale: str = "smoke") -> dict[str, int]:
        """Jobs of each rule that a run would execute."""
        planned = self.snakemake("--dry-run", targets=targets, scale=scale)
        assert planned.returncode == 0, planned.stdout + planned.stderr
        text = planned.stdout + planned.stderr
        if "Nothing to be done" in text:
            return {}
        rows = re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)
        assert rows, text
        return {rule: int(count) for rule, count in rows if rule != "total"}

    def edited(self, path: str, old: str = "", new: str = "# a comment\n"):
        """Context in which a file is changed: `old` replaced by `new`, or `new` appended."""
        return Edited(self.folder / path, old, new)


class Edited:
    """Context in which a file is changed: `old` replaced by `new`, or `new` appended; then it is as before."""

    def __init__(self, path: Path, old: str, new: str):
        self.path, self.old, self.new = path, old, new

    def __enter__(self):
        self.text, self.times = self.path.read_text(), self.path.stat()
        assert self.old in self.text
        self.path.write_text(self.text.replace(self.old, self.new, 1) if self.old else self.text + self.new)

    def __exit__(self, *_):
        self.path.write_text(self.text)
        os.utime(self.path, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))
