"""One page that leads to every figure of a scale: its notebook, where its numbers come from, and the verdicts."""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docutils.core
import docutils.utils
import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from entroscape.errors import EntroscapeError, FileError, UnusableFile
from entroscape.files import read_attributes, read_bytes, write_text
from entroscape.plotting.imprint import power_of_ten
from entroscape.templates import fill

logger = logging.getLogger(__name__)

VERDICTS = ("supported", "contradicted", "undecided")
_FACTS = {
    "procedure": "procedure",
    "replicas": "independent replicas",
    "walkers": "walkers in each window",
    "moves": "moves of each walker",
    "updates": "moves of all walkers",
    "seconds": "seconds of sampling, all replicas",
    "bias": "bias of WanD, found by its search",
    "device": "device",
    "seeds": "seeds",
    "code_digest": "digest of the code",
    "sampler_code_digest": "digest of the sampler's code",
    "versions": "versions",
    "settings": "settings",
}


class Figure(BaseModel):
    """A figure on the page: its name, what it shows, its caption (an rst template) and its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    caption: Path
    png: Path
    pdf: Path
    csv: Path
    notebook: Path
    html: Path
    landscapes: list[Path]
    courses: list[Path] = []


def run(
    *, figures: Sequence[Figure], claims: Path, output: Path, title: str, scale: str, watermark: str | None = None
) -> None:
    """Write the page; links are relative to it, and it needs no other file to be read.

    Captions are filled in with `snakemake.params.scale`, as Snakemake's own report does. Raises FileError when a file
    that the page leads to is missing.
    """
    known = cache(lambda path: facts(read_attributes(path)))  # several figures show the same landscape
    page = fill(
        "index.html.j2",
        title=title,
        scale=scale,
        watermark=watermark,
        figures=[_entry(figure, output.parent, scale, known) for figure in figures],
        **_claims(claims, output.parent, {figure.id for figure in figures}),
        claims_link=_link(claims, output.parent),
    )
    write_text(page, output)
    logger.info("%s: %d figures", output, len(figures))


def caption(template: Path, scale: str) -> str:
    """A caption as HTML; raises EntroscapeError when the template asks for something else or is not valid rst."""
    quiet = {"_disable_config": True, "file_insertion_enabled": False, "raw_enabled": False, "report_level": 5}
    context = {"params": {"scale": scale}, "config": {"scale": scale}}
    try:
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
        text = environment.from_string(read_bytes(template).decode()).render(snakemake=context)
        parts = docutils.core.publish_parts(text, writer="html5", settings_overrides=quiet | {"halt_level": 2})
    except (jinja2.TemplateError, docutils.utils.SystemMessage, UnicodeDecodeError) as error:
        raise EntroscapeError(
            f"{template} is not a usable caption ({' '.join(str(error).split())}): correct it"
        ) from error
    return str(parts["body"])


def facts(attributes: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """What the attributes of a landscape or a course say about where it comes from, for reading."""
    return [(label, _readable(name, attributes[name])) for name, label in _FACTS.items() if name in attributes]


def _entry(figure: Figure, folder: Path, scale: str, known: Callable[[Path], list]) -> dict[str, Any]:
    links = {name: _link(getattr(figure, name), folder) for name in ("png", "pdf", "csv", "notebook", "html")}
    sources = [
        {"name": path.stem, "link": _link(path, folder), "facts": known(path)}
        for path in (*figure.landscapes, *figure.courses)
    ]
    text = Markup(caption(figure.caption, scale))
    return {"id": figure.id, "title": figure.title, "caption": text, "sources": sources, **links}


def _link(path: Path, folder: Path) -> str:
    if not path.is_file():
        raise FileError(f"{path} does not exist: run the rule that makes it first")
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _readable(name: str, value: Any) -> str:
    if name in ("moves", "updates"):
        return power_of_ten(float(value))
    if name == "seconds":
        return f"{float(value):.0f}"
    if name == "versions":
        return ", ".join(f"{package} {version}" for package, version in json.loads(value).items())
    if name == "procedure":
        return str(value).replace("_", " ")
    if np.ndim(value) == 0:
        return str(value)
    return ", ".join(map(str, value))


def _claims(path: Path, folder: Path, figures: set[str]) -> dict[str, Any]:
    """Head and cells of the table of verdicts; figures on the page and files in its folder become links."""
    try:
        table = pd.read_csv(path)
        unknown = sorted(set(table["verdict"]) - set(VERDICTS))
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}): run the rule that makes it first") from error
    except (ValueError, KeyError) as error:
        raise UnusableFile(path, "is not a table of verdicts") from error
    if unknown:
        raise FileError(f"{path} holds the verdict {unknown[0]!r}; known are {', '.join(VERDICTS)}: make it again")
    cells = [
        [_cell(str(name), value, folder, figures) for name, value in row.items()] for row in table.to_dict("records")
    ]
    return {"columns": list(table.columns), "claims": cells}


def _cell(name: str, value: Any, folder: Path, figures: set[str]) -> dict[str, Any]:
    if name == "verdict":
        return {"kind": "verdict", "text": value, "colour": value}
    if name == "figure" and value in figures:
        return {"kind": "links", "links": [(value, f"#{value}")]}
    if name == "data" and isinstance(value, str):
        files = [(one, folder / one) for one in value.split()]
        return {"kind": "links", "links": [(one, _link(path, folder) if path.is_file() else "") for one, path in files]}
    if isinstance(value, float):
        return {"kind": "number", "text": "–" if pd.isna(value) else f"{value:.3g}".replace("-", "−")}
    return {"kind": "text", "text": str(value)}
