"""The page leads to every figure, needs no network, and shows the verdicts as they are."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import course_inputs
import figure_inputs as inputs
import pytest

from entroscape.errors import EntroscapeError, FileError
from entroscape.files import write_dataset, write_table
from entroscape.verbs import index

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CLAIMS = """id,case,statement,verdict,value,lower,upper,confidence,figure,data
EA-C1,"width 6, free",equilibrium is better < SGD,supported,0.054,0.04,0.065,0.95,EA-1,landscapes/width-6.nc
EA-C5,slope,narrower is better,undecided,,,,0.95,EA-5,landscapes/width-6.nc landscapes/none.nc
EA-C6,width 6,more volume,contradicted,-1.25,-2,-0.5,0.95,EA-1,
"""
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects links, ids and texts, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.ids, self.texts, self.spans, self.open = [], [], [], {}, []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in VOID:
            self.open.append((tag, attributes.get("class", "")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1][0] == "span":
            self.spans[data] = self.open[-1][1]


@pytest.fixture
def results(tmp_path):
    for name in ("figures/EA 1.png", "figures/a.pdf", "figures/a.csv", "notebooks/a.ipynb", "notebooks/a.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "claims.csv").write_text(CLAIMS)
    (tmp_path / "EA-1.rst").write_text("Scale {{ snakemake.params.scale }}, a *small* one.\n")
    write_dataset(inputs.landscape(), tmp_path / "landscapes/width-6.nc")
    return tmp_path


def figure(results: Path) -> index.Figure:
    return index.Figure(
        id="EA-1",
        title="landscape & curves",
        caption=results / "EA-1.rst",
        png=results / "figures/EA 1.png",
        pdf=results / "figures/a.pdf",
        csv=results / "figures/a.csv",
        notebook=results / "notebooks/a.ipynb",
        html=results / "notebooks/a.html",
        landscapes=[results / "landscapes/width-6.nc"],
    )


def make(results: Path, **changes) -> Page:
    arguments = {"figures": [figure(results)], "claims": results / "claims.csv", "output": results / "index.html"}
    index.run(**arguments | {"title": "Entropy landscapes", "scale": "desktop"} | changes)
    return Page((results / "index.html").read_text())


def test_every_link_leads_to_a_file_or_a_place_on_the_page(results):
    page = make(results)
    assert len(page.links) >= 9
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else (results / unquote(link)).is_file(), link
    assert len(page.ids) == len(set(page.ids))


def test_captions_and_provenance_are_shown(results):
    page = make(results)
    text = " ".join(" ".join(page.texts).split())
    assert "Scale desktop, a small one." in text
    for part in (
        "landscape & curves",
        "0123456789abcdef",
        "2.5 × 10⁶",
        "numpy 2",
        "a/0, a/1",
        "replica exchange",
        "3.0 × 10⁷",
    ):
        assert part in text


def test_verdicts_keep_their_words_and_get_their_colours(results):
    page = make(results)
    expected = {verdict: f"verdict {verdict}" for verdict in ("supported", "undecided", "contradicted")}
    assert page.spans == expected
    styles = (results / "index.html").read_text()
    assert all(f".{verdict} {{ background" in styles for verdict in expected)
    assert "equilibrium is better < SGD" in page.texts and "−1.25" in page.texts


def test_page_says_how_verdicts_are_made_together(results):
    assert any("Holm's step-down procedure" in text for text in make(results).texts)


def test_claims_lead_to_their_figure_and_to_the_data_behind_them(results):
    page = make(results)
    assert page.links.count("#EA-1") == 3  # contents, and two claims
    assert "#EA-5" not in page.links and "EA-5" in page.texts  # a figure that the run does not have
    assert page.links.count("landscapes/width-6.nc") == 3  # provenance, and two claims
    assert any("landscapes/none.nc" in text for text in page.texts)


def test_courses_of_a_figure_say_where_they_come_from(results):
    table = course_inputs.course("add", last=100, runs=1).table
    write_table(table, results / "courses/add.parquet")
    page = make(results, figures=[figure(results).model_copy(update={"courses": [results / "courses/add.parquet"]})])
    assert "courses/add.parquet" in page.links and '"operation":"add"' in " ".join(page.texts)


@pytest.mark.parametrize("watermark", [None, "", "SMOKE"])
def test_page_of_a_scale_whose_numbers_mean_nothing_says_so(results, watermark):
    text = " ".join(make(results, watermark=watermark).texts)
    assert ("SMOKE" in text and "mean nothing" in text) == (watermark == "SMOKE")


def test_equal_inputs_give_equal_bytes(results):
    make(results)
    first = (results / "index.html").read_bytes()
    make(results)
    assert (results / "index.html").read_bytes() == first


@pytest.mark.parametrize("missing", ["figures/EA 1.png", "claims.csv", "landscapes/width-6.nc", "EA-1.rst"])
def test_missing_file_is_named_and_no_page_written(results, missing):
    (results / missing).unlink()
    with pytest.raises(FileError, match=Path(missing).name):
        make(results)
    assert not (results / "index.html").exists()


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", CLAIMS.replace("undecided", "probably")])
def test_file_that_holds_no_verdicts(results, content):
    (results / "claims.csv").write_text(content)
    with pytest.raises(FileError, match=r"claims\.csv"):
        make(results)


@pytest.mark.parametrize("content", ["{{ snakemake.params.other }}", "{{ open", "`x`_ is nowhere\n"])
def test_caption_that_cannot_be_used_is_named(results, content):
    (results / "EA-1.rst").write_text(content)
    with pytest.raises(EntroscapeError, match=r"EA-1\.rst is not a usable caption"):
        make(results)


@pytest.mark.parametrize("path", sorted(REPORT.glob("*.rst")), ids=lambda path: path.stem)
def test_shipped_captions_are_usable(path):
    assert "desktop" in index.caption(path, "desktop")
