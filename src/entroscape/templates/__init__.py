"""HTML templates (Jinja) and how to fill them in. Their pages need nothing but themselves: no scripts, no network."""

from typing import Any

import jinja2


def fill(template: str, **context: Any) -> str:
    """Text of a page: the template of that name with `context`; every value is escaped unless it is Markup."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("entroscape"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**context)
