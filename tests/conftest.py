"""Each tier lies in a folder of its name; its tests carry the marker of that name."""

import os
from pathlib import Path

import pytest

# Several processes test side by side: threads within each, torch's and those of linear algebra, would wait for each
# other. It is read when those libraries are loaded, here and in what tests run.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TIERS = {"unit", "exact", "statistics", "mutation", "workflow", "cluster", "gpu"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for tier in TIERS.intersection(Path(item.path).relative_to(Path(__file__).parent).parts):
            item.add_marker(tier)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("statistics")
    group.addoption("--runs", type=int, default=100, help="runs of each problem of the statistics tier")
    group.addoption("--seed", type=int, default=0, help="their seed")
