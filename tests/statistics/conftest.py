"""Fixtures of the statistics tier: how many runs, from which seed; the table of what was found, at the end."""

import pandas as pd
import pytest

FOUND = pytest.StashKey[list[pd.DataFrame]]()


@pytest.fixture(scope="session")
def runs(request) -> int:
    return request.config.getoption("--runs")


@pytest.fixture(scope="session")
def seed(request) -> int:
    return request.config.getoption("--seed")


@pytest.fixture(scope="session")
def found_coverage(request) -> list[pd.DataFrame]:
    return request.config.stash.setdefault(FOUND, [])


def pytest_terminal_summary(terminalreporter, config) -> None:
    found = config.stash.get(FOUND, [])
    if found:
        terminalreporter.section("coverage of 90 % intervals")
        table = pd.concat(found, ignore_index=True).round({"coverage": 3, "error": 3})
        terminalreporter.write_line(f"seed {config.getoption('--seed')}")
        terminalreporter.write_line(table.to_string(index=False))
