"""Fetch a file that data are made from."""

import logging
from pathlib import Path

from entroscape.config.settings import FetchSettings
from entroscape.data.fetch import fetch

logger = logging.getLogger(__name__)


def run(settings: FetchSettings, *, output: Path) -> None:
    """Write the file, verified; one that is there already and right is left alone."""
    fetch(settings.source, output)
    logger.info("%s: %d bytes, %s", output.name, output.stat().st_size, settings.source.checksum)
