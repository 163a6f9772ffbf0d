"""Files that data are made from: where they lie, and reading them only after their checksum has been verified."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

from entroscape.config.data import FileData
from entroscape.config.sources import Download, LocalFile, PackageFile
from entroscape.errors import FileError

# Shared by all scales: the files are the same whatever is made of them.
FOLDER = Path("results/data")


def place(source: PackageFile | Download | LocalFile, folder: Path = FOLDER) -> Path:
    """Where the file lies: in `folder`, or where the user says that it is."""
    return Path(source.path) if isinstance(source, LocalFile) else folder / source.file_name


def read(source: PackageFile | Download | LocalFile, folder: Path = FOLDER) -> bytes:
    """The bytes of the file; raises FileError when it is missing, unreadable or has another checksum."""
    path = place(source, folder)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise missing(source, folder) from error
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}): make it a readable file and run again") from error
    if source.checksum and (found := checksum(content, source.checksum)) != source.checksum:
        raise FileError(
            f"{path} has the checksum {found}, but {source.checksum} is expected: {_remedy(source, path, True)}"
        )
    return content


def checksum(content: bytes, like: str) -> str:
    """Checksum of some bytes by the algorithm of another one, as "sha256:..."."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def unzipped(content: bytes, source: PackageFile | Download | LocalFile, folder: Path = FOLDER) -> bytes:
    """The content itself, or what it holds if it is compressed with gzip; raises FileError when that is broken off."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(source, "a whole gzip file", folder) from error


def missing(source: PackageFile | Download | LocalFile, folder: Path = FOLDER) -> FileError:
    """The error for a file that is not in its place."""
    path = place(source, folder)
    return FileError(f"{path} does not exist: {_remedy(source, path)}")


def unreadable(source: PackageFile | Download | LocalFile, expected: str, folder: Path = FOLDER) -> FileError:
    """The error for a file whose content is not what its format says."""
    return FileError(
        f"{place(source, folder)} is not {expected}: check `format` under data.sources of the experiment, or choose "
        "another source in data.source"
    )


def provenance(section: FileData) -> dict[str, Any]:
    """Where the files of a data section come from, under which licence, and the settings it was made with."""
    files = section.files()
    return {
        "source": "; ".join(f"{file.origin}, {file.checksum or 'any content'}" for file in files),
        "licence": "; ".join(dict.fromkeys(file.licence for file in files)),
        "settings": section.used().model_dump(mode="json"),
    }


def _remedy(source: PackageFile | Download | LocalFile, path: Path, there: bool = False) -> str:
    """What to do about a file that is missing, or is there with the wrong content."""
    other = "choose another source in data.source of the experiment"
    if isinstance(source, LocalFile):
        return f"{'replace it by' if there else 'put in place'} the right file, or {other}"
    fetch = f"fetch it with `snakemake {path}`"
    return f"{f'delete it and {fetch}' if there else fetch}, put it there yourself ({source.origin}), or {other}"
