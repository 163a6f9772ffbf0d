"""Files are written whole or not at all, with equal bytes, and damage is noticed."""

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from entroscape.errors import EntroscapeError, FileError
from entroscape.files import (
    atomically,
    is_set_aside,
    not_made_again,
    read_bytes,
    read_dataset,
    read_table,
    set_aside,
    write_bytes,
    write_dataset,
    write_table,
    write_text,
)

NOBODY = 65534


def dataset() -> xr.Dataset:
    random = np.random.default_rng(7)
    entropy = random.normal(size=(30, 41))
    entropy[0] = np.nan
    return xr.Dataset(
        {
            "entropy": (("ln_train_loss", "test_accuracy"), entropy),
            "visited": (("ln_train_loss", "test_accuracy"), entropy > 0),
            "count": ("ln_train_loss", np.arange(30)),
            "name": ("replica", ["first", "zweite σ"]),
            "scalar": ((), 2.5),
            "nothing": ("none", np.zeros(0)),
        },
        coords={"ln_train_loss": np.arange(30) / 10, "test_accuracy": np.arange(41) / 40},
        attrs={"settings": "{}", "updates": 3, "edges": [1.0, 2.0]},
    )


def table() -> pd.DataFrame:
    frame = pd.DataFrame(
        {"protocol": ["free", "box"] * 20, "run": np.arange(40), "loss": np.linspace(-3, 1, 40), "inside": [True] * 40}
    )
    frame.attrs = {"settings": "{}"}
    return frame


WRITERS = {
    "x.nc": lambda path: write_dataset(dataset(), path),
    "x.parquet": lambda path: write_table(table(), path),
    "x.txt": lambda path: write_text("σ\n", path),
}
READERS = {"x.nc": read_dataset, "x.parquet": read_table, "x.txt": read_bytes}
every_kind = pytest.mark.parametrize("name", WRITERS)
checked_kind = pytest.mark.parametrize("name", ["x.nc", "x.parquet"])


def test_dataset_comes_back_the_same(tmp_path):
    write_dataset(dataset(), tmp_path / "x.nc")
    back = read_dataset(tmp_path / "x.nc")
    xr.testing.assert_identical(back, dataset())
    assert back["visited"].dtype == bool
    assert not any(variable.encoding for variable in back.variables.values())


def test_table_comes_back_the_same_with_its_attributes(tmp_path):
    write_table(table(), tmp_path / "x.parquet")
    back = read_table(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(back, table())
    assert back.attrs == {"settings": "{}"}


def test_text_is_utf8_with_its_own_line_ends(tmp_path):
    write_text("σ\r\nb\n", tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_bytes() == "σ\r\nb\n".encode()


@every_kind
def test_equal_content_gives_equal_bytes_in_another_process(tmp_path, name):
    WRITERS[name](tmp_path / name)
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_files\n"
    program += f"test_files.WRITERS[{name!r}]({str(tmp_path / 'other')!r})"
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONHASHSEED": "5"})
    assert (tmp_path / "other").read_bytes() == (tmp_path / name).read_bytes()


def test_bytes_do_not_depend_on_how_a_dataset_was_stored_before(tmp_path):
    dataset().to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    write_dataset(dataset(), tmp_path / "ours.nc")
    write_dataset(xr.load_dataset(tmp_path / "plain.nc", engine="h5netcdf"), tmp_path / "again.nc")
    assert (tmp_path / "again.nc").read_bytes() == (tmp_path / "ours.nc").read_bytes()


def test_bytes_do_not_depend_on_the_index_of_a_table(tmp_path):
    write_table(table(), tmp_path / "x.parquet")
    write_table(table().set_index(np.arange(40)[::-1]), tmp_path / "y.parquet")
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()


@every_kind
def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path, name):
    target = tmp_path / "a" / "b" / name
    WRITERS[name](target)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target]


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    write_text("x", tmp_path / "ours")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_temporary_path_keeps_the_suffix_and_lies_beside(tmp_path):
    with atomically(tmp_path / "figure.png") as partial:
        assert partial.suffix == ".png" and partial.parent == tmp_path and partial != tmp_path / "figure.png"
        partial.write_bytes(b"x")
    assert (tmp_path / "figure.png").read_bytes() == b"x"


@checked_kind
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file_is_a_file_error(tmp_path, name, share, capfd):
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FileError, match=rf"{name} is not a whole \w+ file .*: delete it"):
        READERS[name](path)
    assert capfd.readouterr() == ("", "")


@checked_kind
@pytest.mark.parametrize("content", [b"no such format\n" * 100, bytes(4096)])
def test_file_of_another_kind_is_a_file_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=f"{name} is not a whole"):
        READERS[name](tmp_path / name)


@checked_kind
def test_changed_values_are_noticed_by_the_checksums(tmp_path, name):
    """In the middle of the file lie values; without checksums they would be read as if nothing had happened."""
    path = tmp_path / name
    if name == "x.nc":
        write_dataset(xr.Dataset({"x": ("i", np.random.default_rng(1).random(10_000))}), path)
    else:
        write_table(pd.DataFrame({"x": np.random.default_rng(1).random(10_000)}), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileError, match=f"{name} is not a whole"):
        READERS[name](path)


@every_kind
def test_missing_file_says_what_to_do(tmp_path, name):
    with pytest.raises(FileError, match=f"{name} does not exist: run the rule that makes it first"):
        READERS[name](tmp_path / name)


def test_folder_instead_of_file_is_a_file_error(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        read_bytes(tmp_path)
    with pytest.raises(FileError, match="cannot be written"):
        write_text("x", tmp_path)
    assert list(tmp_path.parent.glob(".*partial*")) == []


def failing(code: int):
    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("function", ["fsync", "replace", "open"])
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some disk space"),
        (errno.EACCES, "make the folder writable"),
        (errno.EIO, "remove the cause"),
    ],
)
@every_kind
def test_failing_system_call_keeps_the_earlier_file(tmp_path, monkeypatch, name, function, code, advice):
    path = tmp_path / name
    path.write_bytes(b"earlier")
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(code))
        with pytest.raises(FileError) as caught:
            WRITERS[name](path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be written ({os.strerror(code)}): {advice} and run again")
    assert message.endswith("the earlier file is unchanged")
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_failing_flush_of_the_folder_does_not_matter(tmp_path, monkeypatch):
    flushed = []

    def fsync(descriptor):
        flushed.append(descriptor)
        if len(flushed) == 2:
            raise OSError(errno.EINVAL, "not for folders")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text("x", tmp_path / "x.txt")
    assert len(flushed) == 2 and (tmp_path / "x.txt").read_text() == "x"


@pytest.mark.parametrize("mistake", [ValueError("mine"), EntroscapeError("mine"), KeyboardInterrupt()])
def test_failure_inside_the_block_passes_and_cleans_up(tmp_path, mistake):
    path = tmp_path / "x.txt"
    path.write_text("earlier")

    def work():
        with atomically(path) as partial:
            partial.write_text("half")
            raise mistake

    with pytest.raises(type(mistake)) as caught:
        work()
    assert caught.value is mistake
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "earlier"


def test_error_about_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(FileNotFoundError), atomically(tmp_path / "x.txt"):
        (tmp_path / "missing input").read_text()
    assert list(tmp_path.iterdir()) == []


def test_block_that_writes_nothing_keeps_the_earlier_file(tmp_path):
    write_text("earlier", tmp_path / "x.txt")
    with pytest.raises(FileError, match="cannot be written"), atomically(tmp_path / "x.txt"):
        pass
    assert (tmp_path / "x.txt").read_text() == "earlier"


@contextmanager
def small_disk(bytes_: int):
    """A file system in memory of this size; skips where it cannot be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="entroscape-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={bytes_}", "tmpfs", str(folder)]
    mounted = False
    try:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("mounting a small disk needs root")
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            pytest.skip(f"this system does not let us mount a small disk: {answer.stderr.strip()}")
        mounted = True
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def test_full_disk_keeps_the_earlier_file():
    with small_disk(64 * 1024) as folder:
        path = folder / "x.nc"
        write_text("earlier", path)
        noise = np.random.default_rng(0).random(50_000)
        with pytest.raises(FileError) as caught:
            write_dataset(xr.Dataset({"x": ("i", noise)}), path)
        assert "x.nc cannot be written (No space left on device): free some disk space" in str(caught.value)
        with pytest.raises(FileError, match="nothing was written"):
            write_bytes(noise.tobytes(), folder / "new.bin")
        assert path.read_text() == "earlier" and list(folder.iterdir()) == [path]
        write_text("smaller", path)  # the space of the failed attempts is free again
        assert path.read_text() == "smaller"


@contextmanager
def without_privileges():
    """Permissions mean nothing to root: act as nobody meanwhile."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_unwritable_folder_keeps_the_earlier_file():
    folder = Path(tempfile.mkdtemp(prefix="entroscape-shut-"))
    try:
        path = folder / "x.txt"
        path.write_text("earlier")
        folder.chmod(0o555)
        with without_privileges():
            for target in (path, folder / "below" / "y.txt"):
                with pytest.raises(
                    FileError, match=r"cannot be written \(Permission denied\): make the folder writable"
                ):
                    write_text("x", target)
        assert path.read_text() == "earlier" and list(folder.iterdir()) == [path]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_unreadable_file_says_why():
    folder = Path(tempfile.mkdtemp(prefix="entroscape-shut-"))
    try:
        path = folder / "x.nc"
        write_dataset(dataset(), path)
        folder.chmod(0o755)
        path.chmod(0)
        with without_privileges(), pytest.raises(FileError, match=r"x.nc cannot be read \(Permission denied\)"):
            read_dataset(path)
    finally:
        shutil.rmtree(folder)


def test_what_was_set_aside_first_stays_when_a_second_file_is(tmp_path):
    path = tmp_path / "map.nc"
    kept = []
    for number in range(3):
        path.write_text(f"original {number}")
        kept.append(set_aside(path))
    assert [one.name for one in kept] == ["map.unused.nc", "map.unused.2.nc", "map.unused.3.nc"]
    assert [one.read_text() for one in kept] == ["original 0", "original 1", "original 2"]
    assert all(is_set_aside(one) for one in kept)
    assert set(not_made_again(tmp_path)) == {path}
    path.write_text("made again")
    assert not list(not_made_again(tmp_path))


def test_a_link_is_written_through(tmp_path):
    target, link = tmp_path / "far" / "file.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    target.write_text("before")
    link.symlink_to(target)
    write_text("after", link)
    assert link.is_symlink() and target.read_text() == "after"
    dangling = tmp_path / "dangling.txt"
    dangling.symlink_to(tmp_path / "far" / "new.txt")
    write_text("new", dangling)
    assert dangling.is_symlink() and (tmp_path / "far" / "new.txt").read_text() == "new"


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(FileError, match="cannot be written"):
        write_text("", tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to a device"])
def test_what_is_no_file_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / "place"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.fspath(path))
        server.close()
    else:
        path.symlink_to("/dev/null")
    before = path.stat().st_mode
    with pytest.raises(FileError, match="device, a pipe or a socket"):
        write_text("text", path)
    assert path.stat().st_mode == before
