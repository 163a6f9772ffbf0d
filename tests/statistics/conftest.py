"""Fixtures of the statistics tier: how many runs, from which seed; the table of what was found, at the end."""

from collections.abc import Callable

import pandas as pd
import pytest

PROPERTY = "coverage"  # reports carry it from the processes that test to the one that prints


@pytest.fixture(scope="session")
def runs(request) -> int:
    return request.config.getoption("--runs")


@pytest.fixture(scope="session")
def seed(request) -> int:
    return request.config.getoption("--seed")


@pytest.fixture
def show(record_property) -> Callable[[pd.DataFrame], None]:
    """Function that has a table printed at the end."""
    return lambda table: record_property(PROPERTY, table.to_dict("records"))


def pytest_terminal_summary(terminalreporter, config) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    found = [row for report in reports for name, rows in report.user_properties if name == PROPERTY for row in rows]
    if found:
        terminalreporter.section("coverage of 90 % intervals")
        table = pd.DataFrame(found).round({"coverage": 3, "error": 3})
        terminalreporter.write_line(f"seed {config.getoption('--seed')}")
        terminalreporter.write_line(table.to_string(index=False))
