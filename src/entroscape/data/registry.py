"""Data by kind. Each kind has a module of its own, imported on use: a change to one does not touch the others."""

import importlib
from pathlib import Path

from entroscape.config.data import Data, FileData
from entroscape.data.dataset import TaskData
from entroscape.data.sources import FOLDER


def make_data(section: Data, folder: Path = FOLDER) -> TaskData:
    """Data of the section's kind, made from files in `folder`; equal sections give equal arrays.

    Raises FileError for a file that is missing or not the right one, ConfigError for numbers that do not fit it.
    """
    module = importlib.import_module(f"entroscape.data.{section.kind}")
    data: TaskData = module.make(section, folder) if isinstance(section, FileData) else module.make(section)
    return data
