"""Checkpoints: nothing is lost on the way, nothing damaged or foreign is taken, nothing good is overwritten."""

import dataclasses
import errno
import io
import zipfile

import numpy as np
import pytest
from walkers import advance, start

from entroscape import files
from entroscape.errors import FileError
from entroscape.sampling import checkpoint
from entroscape.sampling.replica_exchange import State

IDENTITY = {"settings": {"procedure": {"factor": 0.05, "windows": [[-0.4, 0.5]]}, "variant": "width-4"}, "replica": 0}


@pytest.fixture
def saved(tmp_path):
    """A run in the middle and its checkpoint."""
    problem, state = start()
    advance(problem, state, 20)  # into production
    path = tmp_path / "run.npz"
    checkpoint.save(path, state, IDENTITY)
    return problem, state, path


def load(path, identity=IDENTITY) -> State:
    return checkpoint.load(path, State, identity)


def refused(path, identity=IDENTITY) -> str:
    """The sentence with which a checkpoint is refused, which must leave it as it is."""
    content = path.read_bytes()
    with pytest.raises(FileError) as caught:
        load(path, identity)
    assert path.read_bytes() == content
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_every_field_comes_back(saved):
    _, state, path = saved
    loaded = load(path)
    for field in dataclasses.fields(State):
        before, after = getattr(state, field.name), getattr(loaded, field.name)
        assert type(before) is type(after), field.name
        if field.name == "generators":
            assert [g.bit_generator.state for g in before] == [g.bit_generator.state for g in after]
            assert [g.random() for g in before] == [g.random() for g in after]
        elif isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after, err_msg=field.name)
        else:
            assert before == after
    assert loaded.steps == 20 and loaded.blocks.any() and np.isinf(loaded.entropy).any()


def test_a_loaded_state_goes_on_as_the_original(saved):
    problem, state, path = saved
    loaded = load(path)
    advance(problem, state, 5)
    advance(problem, loaded, 5)
    np.testing.assert_array_equal(state.blocks, loaded.blocks)
    np.testing.assert_array_equal(state.walkers, loaded.walkers)


def test_equal_states_give_equal_bytes(saved, tmp_path):
    _, state, path = saved
    checkpoint.save(tmp_path / "again.npz", state, IDENTITY)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.99, 0.9999])
def test_a_truncated_file_is_refused(saved, share):
    path = saved[2]
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    sentence = refused(path)
    assert "is damaged" in sentence and "delete it" in sentence


def test_garbled_bytes_are_refused(saved):
    """Flips of single bytes all over the file: a FileError, or the same state where the byte means nothing."""
    _, state, path = saved
    content = path.read_bytes()
    random = np.random.default_rng(0)
    damaged = 0
    for place in np.r_[0:60, len(content) - 900 : len(content), random.integers(0, len(content), 150)]:
        flipped = bytearray(content)
        flipped[place] ^= random.integers(1, 256)
        path.write_bytes(flipped)
        try:
            loaded = load(path)
        except FileError:
            damaged += 1
            continue
        assert loaded.steps == state.steps
        np.testing.assert_array_equal(loaded.blocks, state.blocks)
        np.testing.assert_array_equal(loaded.walkers, state.walkers)
    assert damaged > 300


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def text_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("plain", "no array")
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"no archive", b"\x80\x04K\x01.", array(), text_archive(), npz(x=np.arange(3)), npz(plain=np.array("{}")),
     npz(plain=np.array("[1]")), npz(plain=np.array([{}], dtype=object))],
    ids=["text", "pickle", "array", "zip", "npz", "no identity", "list", "objects"],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        (IDENTITY | {"replica": 1}, "replica: 0 there, 1 here"),
        (
            {"settings": {"procedure": {"factor": 0.1, "windows": [[-0.4, 0.5]]}, "variant": "width-4"}, "replica": 0},
            "settings.procedure.factor: 0.05 there, 0.1 here",
        ),
        (IDENTITY | {"code": "abc"}, "code: None there, abc here"),
        ({"replica": 0}, "settings: {"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(saved, identity, named):
    sentence = refused(saved[2], identity)
    assert named in sentence and "belongs to another run" in sentence
    assert "delete it and this run starts afresh" in sentence


def test_many_differences_are_not_all_listed(saved):
    other = {"settings": {"procedure": {"factor": 1, "windows": []}, "variant": "x"}, "replica": 9}
    assert refused(saved[2], other).count(" there, ") == 3


def failing(monkeypatch, number: int):
    def flush(path):
        raise OSError(number, "reason", str(path))

    monkeypatch.setattr(files, "_flush", flush)


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "free some disk space"), (errno.EACCES, "make the folder writable")]
)
def test_what_cannot_be_written_leaves_the_earlier_checkpoint(saved, monkeypatch, number, advice):
    problem, state, path = saved
    content = path.read_bytes()
    advance(problem, state, 1)
    failing(monkeypatch, number)
    with pytest.raises(FileError, match=rf"cannot be written .*{advice}.*the earlier file is unchanged"):
        checkpoint.save(path, state, IDENTITY)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path], "no partial file is left behind"
    assert load(path).steps == 20


def test_disk_full_in_the_middle_of_the_archive(saved, monkeypatch):
    problem, state, path = saved
    content = path.read_bytes()
    written = zipfile.ZipFile.open

    def open_member(self, name, *args, **options):
        if getattr(name, "filename", name) == "sigma.npy":
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, name, *args, **options)

    advance(problem, state, 1)
    monkeypatch.setattr(zipfile.ZipFile, "open", open_member)
    with pytest.raises(FileError, match="No space left on device"):
        checkpoint.save(path, state, IDENTITY)
    monkeypatch.undo()
    assert path.read_bytes() == content and list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_made(saved, tmp_path):
    _, state, _ = saved
    checkpoint.save(tmp_path / "new" / "folder" / "run.npz", state, IDENTITY)
    assert load(tmp_path / "new" / "folder" / "run.npz").steps == 20
