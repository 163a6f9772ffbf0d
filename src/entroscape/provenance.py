"""Where a file comes from: settings, code, versions, seeds and device, as attributes to store in it.

No times and no host names: two runs of a rule give equal bytes.
"""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from entroscape import __version__
from entroscape.config.section import Section
from entroscape.config.settings import settings_json

PACKAGES = (
    "h5netcdf",
    "h5py",
    "llvmlite",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "torch",
    "xarray",
)

Attribute = str | int | float | list[int] | list[float] | list[str]


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of those that numbers or bytes may depend on, if installed."""
    found = {"python": platform.python_version(), "entroscape": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def stamp(
    settings: Section | Mapping[str, Any], code: str, seeds: Any, device: str, **extra: Any
) -> dict[str, Attribute]:
    """Attributes for a netCDF file or for `DataFrame.attrs`.

    settings: what the verb was given; code: its digest (`entroscape.digest.code_digest`); seeds: the names or numbers
    that the generators came from; extra: what else is worth keeping, such as the number of updates, but no times.
    Numbers, texts and lists of one kind stay as they are; anything deeper becomes JSON text, keys sorted.
    Raises TypeError when a value is not JSON-able and ValueError when an extra has the name of another attribute.
    """
    attributes = {
        "settings": settings_json(settings) if isinstance(settings, Section) else _json(settings),
        "code_digest": code,
        "versions": _json(versions()),
        "seeds": _attribute(seeds),
        "device": device,
    }
    if clash := attributes.keys() & extra.keys():
        raise ValueError(f"{', '.join(sorted(clash))} cannot be given as an extra: every stamp has it")
    return attributes | {name: _attribute(value) for name, value in sorted(extra.items())}


def differences(stored: Any, wanted: Any, where: str = "") -> list[str]:
    """Sentences 'key: stored there, wanted here' for every leaf that differs."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        return [
            line
            for key in sorted(stored.keys() | wanted.keys())
            for line in differences(stored.get(key), wanted.get(key), f"{where}.{key}".lstrip("."))
        ]
    return [] if stored == wanted else [f"{where}: {stored} there, {wanted} here"]


def _attribute(value: Any) -> Attribute:
    """The value if a netCDF attribute can hold it (numbers, texts, flat lists of one kind; no bool), else JSON text."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    kinds = {type(item) for item in value} if isinstance(value, list | tuple) else set()
    if len(kinds) == 1 and kinds <= {str, int, float}:
        return list(value)
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
