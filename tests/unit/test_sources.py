"""Files of data: fetched all or nothing, verified when fetched and when read, and every mistake one sentence."""

import hashlib
import http.client
import io
import json
import threading
import urllib.request
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_sources import sha256, tarred

from entroscape.config.settings import fetch_settings, settings_json
from entroscape.config.sources import Download, LocalFile, PackageFile
from entroscape.data import fetch as fetching
from entroscape.data import sources
from entroscape.data.fetch import fetch
from entroscape.errors import ConfigError, FileError
from entroscape.verbs import fetch as verb

MEMBER = b"what the data are made from\n"
MD5 = f"md5:{hashlib.md5(MEMBER).hexdigest()}"
SETUP = b"from setuptools import setup\nsetup(name='pack', version='1.0')\n"
INFO = b"Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n"


def wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pack/data.csv", MEMBER)
        archive.writestr("pack-1.0.dist-info/METADATA", INFO)
        archive.writestr("pack-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("pack-1.0.dist-info/RECORD", b"")
    return buffer.getvalue()


def sdist() -> bytes:
    members = {"pack-1.0/PKG-INFO": INFO, "pack-1.0/setup.py": SETUP, "pack-1.0/deep/data.csv": MEMBER}
    return tarred(members)


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes for its only source."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def package(content: bytes, **changes) -> PackageFile:
    values = dict(
        kind="package",
        name="pack",
        version="1.0",
        archive="pack-1.0-py3-none-any.whl",
        sha256=sha256(content),
        member="pack/data.csv",
        member_sha256=sha256(MEMBER),
        licence="none",
    )
    return PackageFile(**values | changes)


def message_of(function, *arguments) -> str:
    with pytest.raises((FileError, ConfigError)) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def nothing_but(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


# --- packages --------------------------------------------------------------------------------------------------


def test_member_of_a_wheel_is_fetched_once_and_read_again_without_an_index(index, tmp_path, monkeypatch):
    (index / "pack-1.0-py3-none-any.whl").write_bytes(wheel())
    source, folder = package(wheel()), tmp_path / "data"
    path = sources.place(source, folder)
    fetch(source, path)
    assert path == folder / "pack-1.0-data.csv"
    assert nothing_but(folder, "pack-1.0-data.csv")
    monkeypatch.setattr(fetching.subprocess, "run", None)
    fetch(source, path)
    assert sources.read(source, folder) == MEMBER


def test_member_of_an_sdist_is_fetched(index, tmp_path):
    (index / "pack-1.0.tar.gz").write_bytes(content := sdist())
    source = package(content, archive="pack-1.0.tar.gz", member="pack-1.0/deep/data.csv")
    fetch(source, tmp_path / "data.csv")
    assert (tmp_path / "data.csv").read_bytes() == MEMBER


def test_an_sdist_with_another_checksum_is_refused_before_it_runs(index, tmp_path):
    spy = tmp_path / "ran"
    setup = SETUP + f"open({str(spy)!r}, 'w')\n".encode()
    (index / "pack-1.0.tar.gz").write_bytes(tarred({"pack-1.0/PKG-INFO": INFO, "pack-1.0/setup.py": setup}))
    source = package(sdist(), archive="pack-1.0.tar.gz", member="pack-1.0/deep/data.csv")
    assert "another checksum" in message_of(fetch, source, tmp_path / "data" / "data.csv")
    assert not spy.exists()
    assert not (tmp_path / "data").exists()


def test_no_network_says_which_file_to_put_where(index, tmp_path):
    message = message_of(fetch, package(wheel()), tmp_path / "data.csv")
    assert "pack-1.0-py3-none-any.whl cannot be downloaded by pip (No matching distribution found" in message
    assert f"put the file with sha256:{sha256(MEMBER)} at {tmp_path / 'data.csv'} yourself" in message
    assert "choose another source in data.source" in message


def test_wrong_member_hash_leaves_nothing(index, tmp_path):
    (index / "pack-1.0-py3-none-any.whl").write_bytes(wheel())
    folder = tmp_path / "data"
    message = message_of(fetch, package(wheel(), member_sha256=64 * "0"), folder / "data.csv")
    assert f"pack/data.csv has the checksum sha256:{sha256(MEMBER)}, but sha256:{64 * '0'} is expected" in message
    assert not folder.exists()


def test_missing_member_is_named(index, tmp_path):
    (index / "pack-1.0-py3-none-any.whl").write_bytes(wheel())
    message = message_of(fetch, package(wheel(), member="pack/other.csv"), tmp_path / "data.csv")
    assert "pack-1.0-py3-none-any.whl has no pack/other.csv inside" in message


def test_archive_is_verified_whatever_pip_did(index, tmp_path, monkeypatch):
    path = tmp_path / "pack-1.0-py3-none-any.whl"
    path.write_bytes(wheel())
    monkeypatch.setattr(fetching, "_downloaded", lambda *_: path)
    message = message_of(fetch, package(b"another"), tmp_path / "data.csv")
    assert message.startswith("pack-1.0-py3-none-any.whl has the checksum")


def test_a_file_with_the_wrong_content_is_replaced(index, tmp_path):
    (index / "pack-1.0-py3-none-any.whl").write_bytes(wheel())
    (tmp_path / "data.csv").write_bytes(b"rotten")
    fetch(package(wheel()), tmp_path / "data.csv")
    assert (tmp_path / "data.csv").read_bytes() == MEMBER


# --- addresses -------------------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/data.csv":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(MEMBER)))
        self.end_headers()
        self.wfile.write(MEMBER[: self.server.sent])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A web server on this machine; its attribute `sent` says how many bytes of the file it delivers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.sent = len(MEMBER)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def download(server, name="data.csv", checksum=MD5) -> Download:
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return Download(kind="download", url=url, checksum=checksum, licence="none")


def test_address_is_fetched_and_verified(server, tmp_path):
    source = download(server)
    fetch(source, sources.place(source, tmp_path))
    assert sources.read(source, tmp_path) == MEMBER
    assert nothing_but(tmp_path, "data.csv")


def test_interrupted_download_leaves_the_earlier_file_and_nothing_else(server, tmp_path):
    server.sent = 5
    source, path = download(server), tmp_path / "data.csv"
    message_of(fetch, source, path)
    assert nothing_but(tmp_path)
    path.write_bytes(b"earlier")
    message_of(fetch, source, path)
    assert path.read_bytes() == b"earlier"
    assert nothing_but(tmp_path, "data.csv")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, http.client.IncompleteRead(b""), TimeoutError("timed out")])
def test_a_stop_half_way_leaves_nothing(tmp_path, monkeypatch, stop):
    class Response(io.BytesIO):
        def read(self, size):
            if self.tell():
                raise stop
            return super().read(5)

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Response(MEMBER))
    source = Download(kind="download", url="http://a/data.csv", checksum=f"sha256:{sha256(MEMBER)}", licence="none")
    with pytest.raises((FileError, KeyboardInterrupt)):
        fetch(source, tmp_path / "data.csv")
    assert nothing_but(tmp_path)


def test_wrong_content_and_missing_address_are_named(server, tmp_path):
    message = message_of(fetch, download(server, checksum=f"md5:{32 * '0'}"), tmp_path / "data.csv")
    assert f"has the checksum {MD5}, but md5:{32 * '0'} is expected" in message
    message = message_of(fetch, download(server, "other.csv"), tmp_path / "other.csv")
    assert "/other.csv cannot be downloaded (HTTP Error 404" in message
    assert nothing_but(tmp_path)


# --- reading ---------------------------------------------------------------------------------------------------


def test_missing_file_says_how_to_get_it(tmp_path):
    message = message_of(sources.read, package(wheel()), tmp_path)
    path = tmp_path / "pack-1.0-data.csv"
    assert message.startswith(f"{path} does not exist: fetch it with `snakemake {path}`, put it there yourself")
    assert "pack/data.csv in pack-1.0-py3-none-any.whl" in message


def test_changed_file_is_refused_with_both_checksums(tmp_path):
    source = package(wheel())
    sources.place(source, tmp_path).write_bytes(b"rotten")
    message = message_of(sources.read, source, tmp_path)
    assert f"has the checksum sha256:{sha256(b'rotten')}, but sha256:{sha256(MEMBER)} is expected: delete it" in message


def test_own_file_lies_where_it_is_and_its_checksum_is_optional(tmp_path):
    own = partial(LocalFile, kind="file", path=str(tmp_path / "mine.csv"), licence="none")
    assert "mine.csv does not exist: put in place the right file" in message_of(sources.read, own(), Path("elsewhere"))
    (tmp_path / "mine.csv").write_bytes(b"mine")
    assert sources.read(own(), Path("elsewhere")) == b"mine"
    wrong = own(checksum=f"sha256:{64 * '0'}")
    assert "replace it by the right file" in message_of(sources.read, wrong, Path("elsewhere"))


def test_half_a_gzip_file_is_named(tmp_path):
    own = LocalFile(kind="file", path=str(tmp_path / "a.gz"), licence="none")
    message = message_of(sources.unzipped, b"\x1f\x8b rubbish", own, tmp_path)
    assert message.startswith(f"{tmp_path / 'a.gz'} is not a whole gzip file")


# --- the verb --------------------------------------------------------------------------------------------------


def test_verb_takes_the_settings_of_the_rule(index, tmp_path):
    (index / "pack-1.0-py3-none-any.whl").write_bytes(wheel())
    text = json.dumps({"source": package(wheel()).model_dump()})
    settings = fetch_settings(text)
    assert json.loads(settings_json(settings)) == json.loads(text)
    verb.run(settings, output=tmp_path / "data.csv")
    assert (tmp_path / "data.csv").read_bytes() == MEMBER


def test_wrong_settings_of_the_verb_are_one_sentence():
    assert message_of(fetch_settings, "{}").startswith("--settings: source is missing")
    assert message_of(fetch_settings, "nonsense").startswith("--settings")
