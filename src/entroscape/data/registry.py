"""Which module makes which kind of data."""

from collections.abc import Callable

from entroscape.config.data import SpiralData
from entroscape.data import spirals
from entroscape.data.dataset import TaskData

MAKERS: dict[str, Callable[[SpiralData], TaskData]] = {"spirals": spirals.make}


def make_data(section: SpiralData) -> TaskData:
    """Data of the section's kind; equal sections give equal arrays."""
    return MAKERS[section.kind](section)
