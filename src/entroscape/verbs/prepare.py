"""Make the data of an experiment."""

import logging
from pathlib import Path

from entroscape.config.settings import PrepareSettings
from entroscape.data.registry import make_data
from entroscape.data.sources import FOLDER
from entroscape.files import write_dataset
from entroscape.provenance import stamp
from entroscape.verbs.code import code_of

logger = logging.getLogger(__name__)


def run(settings: PrepareSettings, *, output: Path, sources: Path = FOLDER) -> None:
    """Write train and test arrays with their provenance, made from the files in the folder `sources`."""
    data = make_data(settings.data, sources)
    attributes = stamp(settings, code_of("prepare", settings), settings.data.seed, "cpu")
    write_dataset(data.to_dataset().assign_attrs(attributes), output)
    logger.info("%s: %d train and %d test points", settings.experiment, len(data.y_train), len(data.y_test))
    if data.stand_in:
        logger.info("%s: %s", settings.experiment, data.stand_in)
