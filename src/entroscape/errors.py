"""Errors that a user can act on; the message is one sentence: what, where, what to do."""

from pathlib import Path


class EntroscapeError(Exception):
    """A mistake of the user or of the world. The command line shows its message and no traceback."""


class ConfigError(EntroscapeError):
    """A configuration file says something that is not allowed."""


class FileError(EntroscapeError):
    """A file is missing, damaged, or cannot be written."""


class UnusableFile(FileError):
    """A file that is there but cannot be used: it is damaged, or was made with other settings.

    path: which; reason: what is wrong with it. Whatever made it can make it again.
    """

    def __init__(self, path: Path | str, reason: str, remedy: str = "run the rule that makes it again"):
        super().__init__(f"{path} {reason}: delete it and {remedy}")
        self.path, self.reason = Path(path), reason


class DataError(EntroscapeError):
    """Points, labels or targets of a task are not such as networks can be trained and sampled on."""


class ModelError(EntroscapeError, ValueError):
    """A network cannot be sampled, or not on these points."""


class SamplingError(EntroscapeError):
    """A sampler cannot go on: no state to start from, or a checkpoint that is not its own."""
