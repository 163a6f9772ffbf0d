"""What a scale costs, figure by figure: planned updates over measured speeds."""

import itertools
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from entroscape.errors import UnusableFile
from entroscape.files import read_table, write_text

COLUMNS = ["item", "job", "jobs", "device", "seconds", "memory_mb", "disk_mb"]


def run(figures: dict[str, list[str]], published: dict[str, float], *, speeds: list[Path], output: Path) -> None:
    """Write a row for each kind of job of each item a figure shows, and print a row per figure.

    figures: by name the items, "experiment/variant" or "courses/name", that each shows; published: GPU-hours, where
    known; speeds: tables of `entroscape speed` and `entroscape course-speed`. Written are the COLUMNS; seconds,
    memory_mb and disk_mb are those of one job.
    """
    table = pd.concat([read_table(path) for path in speeds], ignore_index=True)
    table = table.assign(
        item=table["experiment"] + "/" + table["variant"], seconds=table["updates"] / table["updates_per_second"]
    )
    write_text(table[COLUMNS].to_csv(index=False), output)
    Console(width=120).print(summary(table, figures, published))


def read(path: Path) -> pd.DataFrame:
    """The table that `run` has written; raises UnusableFile if it is none, or not whole."""
    try:
        table = pd.read_csv(path)
    except ValueError:
        table = pd.DataFrame()
    if list(table.columns) != COLUMNS or table.isna().any(axis=None) or table.empty:
        raise UnusableFile(path, "is no whole table of costs", "run the target `cost` again")
    return table


def summary(table: pd.DataFrame, figures: dict[str, list[str]], published: dict[str, float]) -> Table:
    """A row per figure and one for all; what several figures show counts in each, and once for all."""
    shown = Table(title="estimated cost", caption="disk: at most; published: GPU-hours of the published maps")
    columns = (
        "figure",
        "jobs",
        "GPU-hours",
        "CPU-hours",
        "longest job / h",
        "most memory / GB",
        "disk / GB",
        "published",
    )
    for name in columns:
        shown.add_column(name, justify="left" if name == "figure" else "right")
    for figure, shows in {**figures, "all": list(itertools.chain(*figures.values()))}.items():
        rows = table[table["item"].isin(shows)]
        known = f"{published[figure]:,.0f}" if figure in published else ""
        longest, memory = rows[["seconds", "memory_mb"]].max().fillna(0.0)
        values = [gpu_hours(rows), cpu_hours(rows), longest / 3600, memory / 1000, gigabytes(rows)]
        shown.add_row(figure, str(rows["jobs"].sum()), *(f"{value:,.2f}" for value in values), known)
    return shown


def gpu_hours(table: pd.DataFrame) -> float:
    """Hours of all jobs that have a GPU."""
    return float((table["jobs"] * table["seconds"])[table["device"] == "cuda"].sum() / 3600)


def cpu_hours(table: pd.DataFrame) -> float:
    """Hours of all jobs on one core each, without a GPU."""
    return float((table["jobs"] * table["seconds"])[table["device"] != "cuda"].sum() / 3600)


def gigabytes(table: pd.DataFrame) -> float:
    """On disk, of all jobs at most."""
    return float((table["jobs"] * table["disk_mb"]).sum() / 1000)
