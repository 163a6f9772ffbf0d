"""Small tables of key numbers, to be shown below a figure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr


def numbers(*columns: Mapping[str, float] | Mapping[str, str], names: Sequence[str] = ("value",)) -> pd.DataFrame:
    """Key numbers by name, one column for each mapping, as text of at most four digits; "–" where there is none."""
    table = pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)
    return table.reindex(list(dict.fromkeys(name for column in columns for name in column))).map(_short)


def low_loss_numbers(low_loss: pd.DataFrame) -> pd.DataFrame:
    """The table of low-loss averages for reading: quantity, metric, baseline, value ± standard error, units, region."""
    return _readable(low_loss, ["quantity", "metric", "baseline"])


def width_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The same for the table of all widths."""
    return _readable(table, ["width", "quantity", "baseline"]).sort_values("width", kind="stable", ignore_index=True)


def size_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The same for the table of all sizes of the train set."""
    shown = _readable(table, ["train_points", "quantity", "baseline"])
    return shown.sort_values("train_points", kind="stable", ignore_index=True)


def cost(landscape: xr.Dataset) -> dict[str, float]:
    """What sampling a landscape took, by what it is; what is not known is left out."""
    attributes = landscape.attrs
    spent = {
        "updates, all walkers of all replicas": attributes.get("updates"),
        "seconds, all replicas": attributes.get("seconds"),
        "peak memory of a job / MB": attributes.get("peak_memory_mb"),
        "replicas": attributes.get("replicas"),
        "walkers in each window": attributes.get("walkers"),
    }
    known = {name: float(value) for name, value in spent.items() if value is not None}
    if attributes.get("updates") and attributes.get("seconds"):
        known["updates per second"] = float(attributes["updates"]) / float(attributes["seconds"])
    return known


def with_error(value: float, error: float) -> str:
    """Value and standard error to two digits of the error, as in −0.0123 ± 0.0045."""
    if not np.isfinite(value):
        return "–"
    if not (np.isfinite(error) and error > 0):
        return f"{value:.4g} (no error)".replace("-", "−")
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def _readable(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    shown = table[keys].copy()
    shown["value ± standard error"] = [with_error(*pair) for pair in table[["value", "error"]].to_numpy()]
    shown["units"] = table["units"].to_numpy()
    edges = table[["lower", "upper"]].to_numpy()
    shown["ln L"] = [f"{low:g} … {high:g}".replace("-", "−") if np.isfinite(low) else "–" for low, high in edges]
    return shown


def _short(value: float | str | None) -> str:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return "–"
    return f"{value:d}" if isinstance(value, int) else f"{value:.4g}".replace("-", "−")
