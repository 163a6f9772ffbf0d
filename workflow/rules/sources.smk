# Files that data are made from. Those that are fetched are the same at every scale. Their content is pinned by checksums
# that are part of the settings of `prepare`, so neither their age nor the code that brought them here matters.

import re

from entroscape.config.settings import fetched_files
from entroscape.config.sources import LocalFile
from entroscape.data.sources import missing

SOURCES = "results/data"
FETCHED = checked(fetched_files, EXPERIMENTS.values())


def sources_of(wildcards):
    """Input function: the files that the experiment's data are made from. One of the user's own must be in place."""
    return [
        source_file(file) for file in EXPERIMENTS[wildcards.experiment].data.files()
    ]


def source_file(file):
    """Where a file lies, as an input."""
    if not isinstance(file, LocalFile):
        return ancient(f"{SOURCES}/{file.file_name}")
    if not Path(file.path).is_file():
        raise WorkflowError(str(missing(file)))
    return file.path
