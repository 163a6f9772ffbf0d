"""One look for all figures: sizes, fonts, colours, the line that says where a figure comes from, and its watermark.

Figures are made without pyplot, so nothing is kept between two of them; the settings of `STYLE` hold only inside
`styled`.
"""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from entroscape.files import write_bytes

SINGLE, DOUBLE = 89.0, 183.0  # column widths of a journal page in mm
_MM_PER_INCH = 25.4
_FINE = 5  # size of the letters below the panels
_PAD = 3 / 72  # inches between them and the edge, as the layout leaves

_PALETTE = sns.color_palette("colorblind").as_hex()
COLOURS = {
    "equilibrium": _PALETTE[1],
    "maximum_entropy": "#222222",
    "free": _PALETTE[4],
    "box": _PALETTE[0],
    "adam free": _PALETTE[3],
    "adam box": _PALETTE[9],
    "adamw free": _PALETTE[8],
    "adamw box": _PALETTE[6],
    "shell": _PALETTE[0],  # no network lives in a box and on a shell
    "adam shell": _PALETTE[9],
    "adamw shell": _PALETTE[6],
    "published": _PALETTE[2],
    "warning": "#c00000",
    "neutral": "#555555",
    "faint": "#b5b5b5",
}
CLASS_COLOURS = ("#222222", _PALETTE[2])  # not those of the curves, which mean something else
BASELINES = (  # optimizers and protocols, in the order they are drawn
    *("free", "box", "shell"),
    *("adam free", "adam box", "adam shell"),
    *("adamw free", "adamw box", "adamw shell"),
)
OPEN = ("free", "adam free", "adamw free")  # drawn with open symbols: these states may lie outside box or shell
MARKERS = {
    "free": "s",
    "box": "o",
    "shell": "o",
    "adam free": "^",
    "adam box": "v",
    "adam shell": "v",
    "adamw free": "D",
    "adamw box": "P",
    "adamw shell": "P",
}
LABELS = {
    "equilibrium": "equilibrium",
    "maximum_entropy": "maximum entropy",
    "free": "SGD, free",
    "box": "SGD, kept in the box",
    "adam free": "Adam, free",
    "adam box": "Adam, kept in the box",
    "adamw free": "AdamW, free",
    "adamw box": "AdamW, kept in the box",
    "shell": "SGD, kept on the shell",
    "adam shell": "Adam, kept on the shell",
    "adamw shell": "AdamW, kept on the shell",
}

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures have equal bytes on all machines
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3,
    "errorbar.capsize": 0,
    "hatch.linewidth": 0.4,
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "entroscape",
    "figure.dpi": 150,
    "savefig.dpi": 300,
}


@dataclass(frozen=True)
class Imprint:
    """A line of provenance to stand below a figure, a watermark ("" for none) to stand across it, and warnings."""

    provenance: str
    watermark: str = ""
    warnings: tuple[str, ...] = ()


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults with `STYLE`, whatever the user's own settings are; they come back on leaving."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(mpl.RcParams(STYLE))
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` mm that arranges its panels by itself."""
    return Figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH), layout="constrained")


def panels_of(place: SubplotSpec, rows: int, columns: int, *, sharex: bool = False, sharey: bool = False) -> list[Axes]:
    """Panels in a part of a figure, row by row."""
    return list(place.subgridspec(rows, columns).subplots(sharex=sharex, sharey=sharey, squeeze=False).flat)


def panel_label(axes: Axes, letter: str, title: str = "", *, narrow: bool = False) -> None:
    """Write (a), (b), ... and a title above the upper left corner of a panel.

    The title of a `narrow` panel may reach over its neighbours, and does not widen it.
    """
    text = f"$\\mathbf{{({letter})}}$  {title}"
    if not narrow:
        axes.set_title(text, loc="left")
        return
    axes.set_title(" ", loc="left")  # keeps the room above; the layout would count the middle of a long title
    pad, size = mpl.rcParams["axes.titlepad"], mpl.rcParams["axes.titlesize"]
    place: dict[str, Any] = dict(xy=(0, 1), xycoords="axes fraction", xytext=(0, pad), textcoords="offset points")
    axes.annotate(text, **place, fontsize=size, va="bottom", annotation_clip=False).set_in_layout(False)


def headroom(axes: Axes, share: float) -> None:
    """Lengthen a linear y axis at its upper end by `share` of its length, to make room for a legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + share * (high - low))


def finish(figure: Figure, imprint: Imprint) -> Figure:
    """Write warnings and provenance below the panels and, if there is one, the watermark across everything."""
    width, height = figure.get_size_inches()
    provenance, warning = _wrapped(imprint.provenance, width), "\n".join(_wrapped(w, width) for w in imprint.warnings)
    room = "\n" * (warning.count("\n") + 1) if warning else ""  # for the warning, in another colour
    figure.supxlabel(room + provenance, fontsize=_FINE, color=COLOURS["neutral"], x=0.01, ha="left")
    if warning:
        above = _PAD / height + (provenance.count("\n") + 1) * 1.2 * _FINE / 72 / height
        text = figure.text(0.01, above, warning, fontsize=_FINE, color=COLOURS["warning"])
        text.set(va="bottom", in_layout=False, gid="warning")
    if imprint.watermark:
        _watermark(figure, imprint.watermark)
    return figure


def _wrapped(text: str, width: float) -> str:
    """Text in lines that fit into a figure of `width` inches: letters are about half as wide as they are high."""
    return textwrap.fill(text, int(0.97 * 72 * width / (0.53 * _FINE)))


def _watermark(figure: Figure, text: str) -> None:
    """Write `text` along the diagonal, as large as fits (bold letters are about 0.8 of their size wide)."""
    width, height = 72 * figure.get_size_inches()
    angle = np.arctan2(height, width)
    long, high = 0.8 * len(text), 0.9
    size = 0.95 * min(
        width / (long * np.cos(angle) + high * np.sin(angle)), height / (long * np.sin(angle) + high * np.cos(angle))
    )
    mark = figure.text(0.5, 0.5, text, ha="center", va="center", rotation=np.degrees(angle), fontsize=size)
    mark.set(color="#c00000", alpha=0.18, fontweight="bold", zorder=100, gid="watermark", in_layout=False)


def content(figure: Figure, kind: str) -> bytes:
    """The figure as a file of `kind` (png, pdf or svg): equal figures give equal bytes, no dates."""
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def save_pages(figures: Sequence[Figure], path: Path | str) -> None:
    """Write the figures to one PDF, a page each; equal figures give equal bytes. Raises FileError."""
    buffer = io.BytesIO()
    with styled(), PdfPages(buffer, metadata={"CreationDate": None}) as pages:
        for figure in figures:
            pages.savefig(figure)
    write_bytes(buffer.getvalue(), path)


def save(figure: Figure, *paths: Path | str) -> None:
    """Write the figure to each path, as the kind its suffix names (png at 300 dpi, pdf, svg); raises FileError."""
    for path in paths:
        write_bytes(content(figure, Path(path).suffix.removeprefix(".")), path)
