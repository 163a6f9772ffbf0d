"""Errors that a user can act on; the message is one sentence: what, where, what to do."""


class EntroscapeError(Exception):
    """A mistake of the user or of the world. The command line shows its message and no traceback."""


class ConfigError(EntroscapeError):
    """A configuration file says something that is not allowed."""


class FileError(EntroscapeError):
    """A file is missing, damaged, or cannot be written."""


class SamplingError(EntroscapeError):
    """A sampler cannot go on: no state to start from, or a checkpoint that is not its own."""
