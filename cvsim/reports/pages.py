"""Templates of pages: strict about names, suspicious of text, with the words that all pages use."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from cvsim.names import printable
from cvsim.reports import wording


@cache
def page_templates(package: str) -> Environment:
    """The templates of a package, from its folder ``templates``."""
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        printable=printable,
        percent=wording.percent,
        byte_size=wording.byte_size,
        relation_words=wording.relation_words,
        keep_words=wording.keep_words,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
    )
    environment.globals.update(quantity=wording.quantity, dimensions=wording.dimensions)
    return environment
