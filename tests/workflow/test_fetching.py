"""Files of data in the workflow: fetched once for all scales, and neither their age nor a lost network matters."""

import gzip
import hashlib
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from project import Project

LABELS = np.repeat(np.arange(4), 20)
PIXELS = np.full((80, 784), 100) + LABELS[:, None] + np.arange(784) % 2
LINES = [",".join(map(str, [*row, label])) for row, label in zip(PIXELS, LABELS, strict=True)]
CONTENT = gzip.compress("\n".join(LINES).encode())
FILE = "digits.csv.gz"


class Digits(Project):
    """A copy of the project whose experiment is made from a file that a folder on this machine offers."""

    def __init__(self, folder: Path, cache: Path):
        super().__init__(folder, cache)
        self.offered = folder / "offered" / FILE
        self.offered.parent.mkdir()
        self.offered.write_bytes(CONTENT)
        checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
        file = dict(kind="download", url=self.offered.as_uri(), checksum=checksum, licence="none")
        own = dict(kind="file", path="mine.csv", checksum=None, licence="none")
        data = dict(
            kind="digits",
            source="offered",
            sources={
                "offered": dict(format="mnist_csv", file=file),
                "mine": dict(format="mnist_csv", file=own),
            },
            seed=1,
            train_points=40,
            test_points=40,
            pooling=4,
            inputs="standardised",
        )
        document = yaml.safe_load((folder / "config/experiments/spiral.yaml").read_text()) | {"data": data}
        (folder / "config/experiments/digits.yaml").write_text(yaml.safe_dump(document))
        run = yaml.safe_load((folder / "config/config.yaml").read_text())
        (folder / "config/config.yaml").write_text(yaml.safe_dump(run | {"experiments": ["spiral", "digits"]}))

    def make(self, scale: str = "smoke") -> subprocess.CompletedProcess:
        return self.snakemake(targets=[data_file(scale)], scale=scale)


def data_file(scale: str = "smoke") -> str:
    return f"results/{scale}/data/digits.nc"


@pytest.fixture(scope="module")
def project(compiled, tmp_path_factory) -> Digits:
    project = Digits.copy(tmp_path_factory.mktemp("project"), compiled).with_own_library()
    assert project.to_do(data_file()) == {"fetch_source": 1, "prepare_data": 1}
    made = project.make()
    assert made.returncode == 0, made.stderr
    return project


@pytest.fixture
def stored(project):
    """The file that was fetched; put back after the test."""
    path = project.folder / "results" / "data" / FILE
    yield path
    path.write_bytes(CONTENT)


def test_file_is_shared_by_all_scales_and_its_age_does_not_matter(project, stored):
    assert project.to_do(data_file()) == {}
    assert project.to_do(data_file("paper"), scale="paper") == {"prepare_data": 1}
    os.utime(stored)
    assert project.to_do(data_file()) == {}


def test_code_that_fetches_redoes_nothing_and_code_that_makes_data_does(project):
    for module, expected in (("fetch", {}), ("house_prices", {}), ("digits", {"prepare_data": 1})):
        path = project.folder / "src/entroscape/data" / f"{module}.py"
        text = path.read_text()
        path.write_text(text + "# a comment\n")
        assert project.to_do(data_file()) == expected, module
        path.write_text(text)
    assert project.to_do(data_file()) == {}


def test_file_that_is_there_is_enough_without_a_network(project, stored):
    project.offered.rename(project.offered.with_suffix(".away"))
    try:
        again = project.snakemake("--force", targets=[f"results/data/{FILE}"])
        assert again.returncode == 0, again.stderr
        assert stored.read_bytes() == CONTENT
        stored.unlink()
        lost = project.snakemake(targets=[f"results/data/{FILE}"])
        assert lost.returncode != 0
        assert "cannot be downloaded" in lost.stdout + lost.stderr and not stored.exists()
        assert "MissingOutputException" not in lost.stdout + lost.stderr, "the job itself must fail"
    finally:
        project.offered.with_suffix(".away").rename(project.offered)


def test_corrupt_file_stops_with_its_name_and_what_to_do(project, stored):
    stored.write_bytes(CONTENT + b"x")
    (project.folder / "results/paper/data").mkdir(parents=True, exist_ok=True)
    failed = project.make("paper")
    assert failed.returncode != 0
    assert f"results/data/{FILE} has the checksum sha256:" in failed.stdout + failed.stderr
    assert f"delete it and fetch it with `snakemake results/data/{FILE}`" in failed.stdout + failed.stderr


def test_own_file_must_be_in_place(project):
    path = project.folder / "config/experiments/digits.yaml"
    text = path.read_text()
    path.write_text(text.replace("source: offered", "source: mine"))
    try:
        failed = project.snakemake("--dry-run", targets=[data_file()])
        assert failed.returncode != 0
        assert "mine.csv does not exist: put in place the right file" in failed.stdout + failed.stderr
        (project.folder / "mine.csv").write_bytes(CONTENT)
        assert project.to_do(data_file()) == {"prepare_data": 1}
    finally:
        path.write_text(text)


def test_all_files_can_be_fetched_beforehand(project, stored):
    stored.unlink()
    assert project.snakemake(targets=["sources"]).returncode == 0
    assert stored.read_bytes() == CONTENT
