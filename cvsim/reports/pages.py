"""Templates of pages: strict about names, suspicious of text, with the words that all pages use."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

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
        capitalize_first=lambda text: text[:1].upper() + text[1:],
    )
    environment.globals.update(quantity=wording.quantity, dimensions=wording.dimensions)
    return environment


def asset(name: str) -> str:
    """Read a style sheet or a script that lies beside the templates of the reports."""
    return files("cvsim.reports").joinpath("templates", name).read_text(encoding="utf-8")


def csp_hash(text: str) -> str:
    """Name a style or a script of a page as a content security policy allows it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
