"""Reading and writing files: all or nothing, equal bytes for equal content, clear errors.

Writers serialise in memory and then write beside the target and rename, so that a crash or a full disk leaves
the earlier file as it was. Readers load everything, so that a damaged file is noticed here and not later.
Packages for tables and arrays are imported where they are needed: the workflow, which uses this module whenever it
starts, must not wait for them.
"""

import errno
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from entroscape.errors import FileError, UnusableFile

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Content = TypeVar("Content")

_WRITE_ADVICE = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of your disk quota",
    errno.EACCES: "make the folder writable",
    errno.EPERM: "make the folder writable",
    errno.EROFS: "choose a folder that is writable",
}
_UNUSED = ".unused"  # before the suffix of a file that was set aside
_CHECKED = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}


@contextmanager
def atomically(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path` (same suffix) to write to; flush and rename it on leaving.

    A link is followed, so that the file it points to is written and the link stays. What is there and is no regular
    file, such as a device or a pipe, is refused. Missing folders are made. When the block or the writing fails, the
    temporary file is removed and `path` stays as it was. An OSError that concerns this file becomes a FileError; one
    about another file passes unchanged.
    After a SIGKILL a hidden `.*.partial*` file may stay behind; nothing reads it.
    """
    path = _target(Path(path))
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial)
        os.replace(partial, path)
    except OSError as error:
        if not _concerns(error, {partial, path, *path.parents}):
            raise
        raise FileError(_write_sentence(path, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    with suppress(OSError):  # some network file systems cannot flush a folder; the file itself is safe
        _flush(path.parent)


def _target(path: Path) -> Path:
    """The path that a rename may replace: where links lead to. Raises FileError for what is there and is no file."""
    try:
        path = path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:  # links in a circle
        raise FileError(f"{path} cannot be written (its links lead nowhere): remove the link and run again") from error
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FileError(
            f"{path} cannot be written (it is a device, a pipe or a socket): name a file in its place and run again; "
            "nothing was written"
        )
    return path


def write_bytes(content: bytes | memoryview, path: Path | str) -> None:
    """Write `content` atomically; raises FileError."""
    with atomically(path) as partial:
        partial.write_bytes(content)


def write_text(text: str, path: Path | str) -> None:
    """Write `text` as UTF-8, line ends as they are; raises FileError."""
    write_bytes(text.encode(), path)


def write_dataset(dataset: "xr.Dataset", path: Path | str) -> None:
    """Write a Dataset as netCDF-4, compressed and with checksums; raises FileError.

    Attributes must be texts, numbers or lists of them. How an earlier file stored the variables (their
    `encoding`) is dropped: it would make the bytes depend on where the values came from.
    """
    dataset = dataset.drop_encoding()
    arrays = [name for name, variable in dataset.variables.items() if variable.size and variable.ndim]
    numeric = [name for name in arrays if dataset[name].dtype.kind in "biuf"]  # HDF5 filters need numbers
    buffer = io.BytesIO()
    dataset.to_netcdf(buffer, engine="h5netcdf", encoding={name: dict(_CHECKED) for name in numeric})
    write_bytes(buffer.getbuffer(), path)


def read_dataset(path: Path | str) -> "xr.Dataset":
    """Load a whole netCDF file into memory; raises FileError if it cannot be read, UnusableFile if it is damaged."""
    return _parse(path, _dataset, "netCDF")


def write_table(table: "pd.DataFrame", path: Path | str) -> None:
    """Write a tidy table as parquet with checksums; raises FileError.

    The index is not written: what identifies a row belongs in columns. `table.attrs` (JSON-able) is kept.
    """
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False, write_page_checksum=True)
    write_bytes(buffer.getbuffer(), path)


def read_table(path: Path | str) -> "pd.DataFrame":
    """Load a whole parquet file; raises FileError when it cannot be read, UnusableFile when it is damaged."""
    return _parse(path, _table, "parquet")


def read_attributes(path: Path) -> Mapping[Any, Any]:
    """Attributes of a netCDF or parquet file, all of which is read; raises as `read_dataset` and `read_table`."""
    return (read_dataset if path.suffix == ".nc" else read_table)(path).attrs


def _dataset(buffer: io.BytesIO) -> "xr.Dataset":
    import h5py
    import xarray as xr

    h5py.File(buffer, "r").close()  # h5netcdf prints noise from its destructor when HDF5 cannot open the file
    return xr.load_dataset(buffer, engine="h5netcdf").drop_encoding()


def _table(buffer: io.BytesIO) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(buffer, engine="pyarrow", page_checksum_verification=True)


def _parse(path: Path | str, parse: Callable[[io.BytesIO], Content], kind: str) -> Content:
    """The content of a file; any failure to parse it means that the file is damaged or of another kind."""
    content = read_bytes(path)
    try:
        return parse(io.BytesIO(content))
    except Exception as error:  # the parsers raise a dozen types on garbled bytes, TypeError and KeyError among them
        raise UnusableFile(path, f"is not a whole {kind} file ({len(content)} bytes)") from error


def read_bytes(path: Path | str) -> bytes:
    """The bytes of a file; raises FileError when it is missing or unreadable."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist: run the rule that makes it first") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read ({_reason(error)}): make it a readable file and run again") from error


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, so that a new one can be made and nothing is lost; where it is now.

    What was set aside before stays as it is: a second file of that name gets a number.
    """
    for number in count(1):
        mark = _UNUSED if number == 1 else f"{_UNUSED}.{number}"
        aside = path.with_name(f"{path.stem}{mark}{path.suffix}")
        if not os.path.lexists(aside):
            break
    path.rename(aside)
    return aside


def not_made_again(folder: Path) -> Iterator[Path]:
    """Files below a folder that were set aside and have not been made again since."""
    for aside in sorted(folder.rglob(f"*{_UNUSED}.*")):
        path = aside.with_name(re.sub(rf"{re.escape(_UNUSED)}(\.\d+)?(?=\.|$)", "", aside.name, count=1))
        if not path.exists():
            yield path


def is_set_aside(path: Path) -> bool:
    """Whether a file was set aside."""
    return _UNUSED in path.suffixes


def _flush(path: Path) -> None:
    """Have the system bring a file or a folder onto the disk; a full disk may show only here."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _concerns(error: OSError, paths: set[Path]) -> bool:
    return error.filename is None or Path(os.fsdecode(error.filename)) in paths


def _write_sentence(path: Path, error: OSError) -> str:
    advice = _WRITE_ADVICE.get(error.errno or 0, "remove the cause")
    kept = "the earlier file is unchanged" if path.is_file() else "nothing was written"
    return f"{path} cannot be written ({_reason(error)}): {advice} and run again; {kept}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
