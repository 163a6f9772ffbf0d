"""Search the bias of WanD, and see what else it depends on."""

import logging
from pathlib import Path

import pandas as pd
import torch

from entroscape import devices
from entroscape.config.courses import SearchSettings
from entroscape.digest import code_digest
from entroscape.files import write_table
from entroscape.memory import keep_freed
from entroscape.provenance import stamp
from entroscape.training.wand_search import best_bias, search

logger = logging.getLogger(__name__)


def run(settings: SearchSettings, *, output: Path, threads: int, device: str = "cpu") -> None:
    """Write a row for every run of every setting; `chosen` marks those of the bias that is taken.

    `device`: cpu, cuda or auto.
    """
    keep_freed()
    torch.set_num_threads(threads)
    device, tables = devices.chosen(device), []
    for setting, rows in search(settings, device):
        tables.append(rows)
        soonest, accuracy = rows["steps_to_generalise"].median(), rows["final_test_accuracy"].median()
        logger.info("%s %g: generalises at step %g, test accuracy %.3f", *setting, soonest, accuracy)
    table = pd.concat(tables, ignore_index=True)
    bias = best_bias(table)
    table["chosen"] = (table["parameter"] == "bias") & (table["value"] == bias)
    table.attrs.update(stamp(settings, code_digest(__name__), ["courses", str(settings.base.seed), "search"], device))
    write_table(table, output)
    logger.info("bias %g", bias)
