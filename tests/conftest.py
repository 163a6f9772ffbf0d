"""Each tier lies in a folder of its name; its tests carry the marker of that name."""

import os
import tempfile
from pathlib import Path

import pytest

# Several processes test side by side: threads within each, torch's and those of linear algebra, would wait for each
# other. It is read when those libraries are loaded, here and in what tests run.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What one of these processes compiles serves the others. It is thrown away at the end: numba does not see that a system
# which only tests know has changed.
if "ENTROSCAPE_CACHE_DIR" not in os.environ:
    _compiled_here = tempfile.TemporaryDirectory(prefix="entroscape-tests-")
    os.environ["ENTROSCAPE_CACHE_DIR"] = _compiled_here.name

TIERS = {"unit", "exact", "statistics", "mutation", "workflow", "cluster", "gpu"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for tier in TIERS.intersection(Path(item.path).relative_to(Path(__file__).parent).parts):
            item.add_marker(tier)


@pytest.fixture(scope="session")
def compiled(pytestconfig) -> Path:
    """Where jobs of the workflow keep what they compile: one folder for all, and for the next time."""
    return pytestconfig.cache.mkdir("compiled")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("statistics")
    group.addoption("--runs", type=int, default=100, help="runs of each problem of the statistics tier")
    group.addoption("--seed", type=int, default=0, help="their seed")
