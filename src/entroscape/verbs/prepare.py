"""Make the data of an experiment."""

import logging
from pathlib import Path

from entroscape.config.settings import PrepareSettings
from entroscape.data.registry import make_data
from entroscape.digest import code_digest
from entroscape.files import write_dataset
from entroscape.provenance import stamp

logger = logging.getLogger(__name__)


def run(settings: PrepareSettings, *, output: Path) -> None:
    """Write train and test arrays with their provenance."""
    data = make_data(settings.data)
    attributes = stamp(settings, code_digest(__name__), settings.data.seed, "cpu")
    write_dataset(data.to_dataset().assign_attrs(attributes), output)
    logger.info("%s: %d train and %d test points", settings.experiment, len(data.y_train), len(data.y_test))
