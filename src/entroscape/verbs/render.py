"""Executed notebook -> one HTML page that needs nothing else: images and styles inside, no scripts."""

from markupsafe import Markup
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from entroscape.templates import fill


def page(notebook: NotebookNode, title: str) -> str:
    """The notebook as HTML. Equal notebooks give equal pages."""
    # the bare template: the others fetch scripts and fonts from the network
    content, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    highlighting = HtmlFormatter(style="default").get_style_defs(".highlight")
    return fill("notebook.html.j2", title=title, content=Markup(content), highlighting=Markup(highlighting))
