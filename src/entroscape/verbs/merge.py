"""Merge the independent runs of one variant into its landscape."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from entroscape.config.settings import MergeSettings
from entroscape.digest import code_digest
from entroscape.errors import UnusableFile
from entroscape.files import read_dataset, write_dataset
from entroscape.landscape import convergence
from entroscape.landscape.merge import merge
from entroscape.provenance import differences, stamp

logger = logging.getLogger(__name__)


def run(settings: MergeSettings, *, replicas: list[Path], timings: list[Path], output: Path) -> None:
    """Write the landscape of `replicas`.

    `timings` are the benchmark files that Snakemake wrote beside them. Their seconds and peak memory enter here, and
    not in the replicas' files, which must have equal bytes whenever they are sampled anew.
    """
    runs = [_checked(read_dataset(path), path, settings) for path in replicas]
    landscape = merge(runs)
    walkers = len(landscape["entropy_left_out"]) // len(runs)
    spent = pd.concat([pd.read_csv(path, sep="\t", na_values="-") for path in timings], ignore_index=True)
    memory = spent["max_rss"].max()
    attributes = stamp(
        json.loads(runs[0].attrs["settings"]),
        code_digest(__name__),
        ["/".join(run.attrs["seeds"]) for run in runs],
        runs[0].attrs["device"],
        procedure=runs[0].attrs["procedure"],
        moves=int(runs[0].attrs["moves"]),
        walkers=walkers,
        replicas=len(runs),
        updates=sum(int(run.attrs["moves"]) * _walkers(run) for run in runs),
        seconds=float(spent["s"].sum()),
        **({"peak_memory_mb": float(memory)} if np.isfinite(memory) else {}),
        sampler_code_digest=", ".join(sorted({run.attrs["code_digest"] for run in runs})),
    )
    landscape = landscape.assign_attrs(attributes | convergence.attributes(landscape))
    write_dataset(landscape, output)
    _tell(landscape)


def _walkers(run: xr.Dataset) -> int:
    """All walkers of a run, in all windows."""
    sizes = run.sizes
    return sizes["instance"] if "instance" in sizes else sizes["window"] * sizes["walker"]


def _checked(replica: xr.Dataset, path: Path, settings: MergeSettings) -> xr.Dataset:
    """The replica, if it was sampled with the settings of today; raises UnusableFile otherwise."""
    try:
        stored = json.loads(replica.attrs["settings"])
    except (KeyError, ValueError):
        stored = {}
    if wrong := differences(stored, settings.sample.model_dump(mode="json")):
        raise UnusableFile(path, f"was not sampled with the present settings ({'; '.join(wrong[:3])})")
    return replica


def _tell(landscape: xr.Dataset) -> None:
    """What a reader wants to know before trusting the map."""
    covered = landscape["ln_train_loss"].to_numpy()[landscape["visited"].to_numpy().any(axis=1)]
    logger.info("ln L from %.2f to %.2f", covered.min(), covered.max())
    for name, value in convergence.summary(landscape).items():
        logger.info("%s: %s", name, value if isinstance(value, str | int) else f"{value:.3g}")
    if sentence := landscape.attrs.get("convergence"):
        logger.info("%s", sentence)
