"""Small files that stand for the real ones: a source description, and the file it describes, in one go."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

SIDE = 28


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def local(path: Path, content: bytes, **changes) -> dict:
    """A file of the user's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    checksum = f"sha256:{sha256(content)}"
    return dict(kind="file", path=str(path), checksum=checksum, licence="none") | changes


def tarred(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def mnist_csv(labels: np.ndarray) -> bytes:
    """Images of constant brightness 10 * label + 1 in the upper and 10 * label + 5 in the lower half."""
    rows = []
    for label in labels:
        pixels = np.full((SIDE, SIDE), 10 * label + 1)
        pixels[SIDE // 2 :] += 4
        rows.append([*pixels.ravel(), label])
    return gzip.compress(pd.DataFrame(rows).to_csv(header=False, index=False).encode())


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def cifar10(per_batch: int = 20) -> bytes:
    """Five batches whose images hold the label in red, 100 + label in green and 200 + label in blue."""
    members = {}
    for number in range(1, 6):
        labels = (np.arange(per_batch) % 10).tolist()
        data = np.stack([np.repeat([n, 100 + n, 200 + n], 1024) for n in labels]).astype(np.uint8)
        members[f"cifar-10-batches-py/data_batch_{number}"] = pickle.dumps({b"data": data, b"labels": labels})
    return tarred(members)


def vader(sentences: dict[str, list[tuple[float, str]]]) -> bytes:
    """Collections of rated sentences, by file name without its ending."""
    members = {}
    for name, rated in sentences.items():
        lines = [f"{n}\t{rating}\t{text}\r\n" for n, (rating, text) in enumerate(rated, 1)]
        members[f"hutto_ICWSM_2014/{name}_GroundTruth.txt"] = "".join(lines).encode()
    return tarred(members)
