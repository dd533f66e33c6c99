"""``cvsim search``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb

if TYPE_CHECKING:
    from cvsim.api.index import Index
    from cvsim.recipes.search import Query
    from cvsim.types import Hit

MAX_STDIN_BYTES = 200_000_000


@click.command(cls=Verb, epilog="Example: cvsim search query.jpg --store photos.db -k 5 --picture hits.png")
@click.argument("query")
@options.store
@click.option("-k", type=click.IntRange(1, 1000), default=10, show_default=True, help="At most so many hits.")
@click.option("--label", metavar="L", help="Only files with this label.")
@click.option(
    "--profile", metavar="NAME|FILE", help="Score look-alikes by a profile that train made.  [default: copy]"
)
@options.index_signals
@click.option(
    "--picture",
    type=options.OutputFile(),
    metavar="FILE",
    help="Write a contact sheet of query and hits, as PNG.",
)
@click.option(
    "--allow-private", is_flag=True, help="Also fetch a URL from this machine or the local network."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def search(
    query: str,
    store: str,
    k: int,
    label: str | None,
    picture: str | None,
    allow_private: bool,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Look for QUERY, a file, a URL or - for standard input, in an index.

    Copies come first, with what happened to them and their score; then pictures that merely look alike.
    """
    settings = options.settings_from(config, given)

    from cvsim.api.index import Index

    with Index.open(store, create=False, settings=settings) as index:
        asked = _query(query, index, allow_private)
        hits = index.search(asked, k, label=label)
        if picture is not None:
            _write_picture(picture, index, asked, hits)
    if as_json:
        from cvsim.files import dumps
        from cvsim.reports.hits import hits_document

        if picture != "-":
            click.echo(dumps(hits_document(query, hits)), nl=False)
    elif picture != "-":
        _print(hits)


def _query(query: str, index: Index, allow_private: bool) -> Query:
    from cvsim.errors import ImageError, UsageError
    from cvsim.recipes.search import Query, QueryReader

    features = index.signals.features
    if query.partition("://")[0].lower() not in ("http", "https") and query != "-":
        if not os.path.exists(query):
            raise UsageError(f"{query}: no such file")
        try:
            return Query.of(query, features)
        except ImageError as exc:
            raise type(exc)(f"{query}: {exc}") from exc
    name = "standard input" if query == "-" else query
    data = _stdin() if query == "-" else _fetched(query, allow_private)
    with QueryReader(features) as reader:
        try:
            return reader.read(data, name)
        except ImageError as exc:
            raise type(exc)(f"{name}: {exc}") from exc


def _fetched(url: str, allow_private: bool) -> bytes:
    from cvsim.fetch.client import Limits, RemoteClient

    with RemoteClient(Limits(n_attempts=2), allow_private=allow_private) as client:
        return client.fetch(url).data


def _stdin() -> bytes:
    from cvsim.errors import UsageError

    data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(data) > MAX_STDIN_BYTES:
        raise UsageError(f"standard input holds more than {MAX_STDIN_BYTES:,} bytes")
    return data


def _print(hits: Sequence[Hit]) -> None:
    from rich.table import Table

    from cvsim.cli.console import result_console
    from cvsim.names import printable
    from cvsim.reports.wording import hit_words

    console = result_console()
    copies = [hit for hit in hits if hit.profile == "copy"]
    table = Table(box=None, show_header=False, pad_edge=False)
    for hit in hits:
        table.add_row(*hit_words(hit), printable(hit.path), printable(", ".join(hit.labels)))
    console.print(table)
    if not hits:
        console.print("Nothing was found.")
    elif not copies:
        console.print("No copy is in the index; these only look alike.")


def _write_picture(file: str, index: Index, query: Query, hits: Sequence[Hit]) -> None:
    from cvsim.cli.console import write_bytes
    from cvsim.files import write
    from cvsim.images.decode import decode
    from cvsim.names import printable
    from cvsim.reading.extraction import THUMBNAIL_KEY
    from cvsim.reports.search_sheet import SheetCell, search_sheet
    from cvsim.reports.wording import hit_words

    thumbnails = index.store.descriptors(THUMBNAIL_KEY, {hit.record.digest for hit in hits})
    thumbnail = query.kept[THUMBNAIL_KEY]
    assert thumbnail is not None
    shown = decode(thumbnail, longest_px=512).rgb
    cells = [SheetCell(shown, ("query", printable(os.path.basename(query.name))[:28]))]
    for hit in hits:
        data = thumbnails.get(hit.record.digest)
        figure, kind = hit_words(hit)
        lines = (figure, kind[:28], printable(os.path.basename(hit.path))[-28:])
        cells.append(SheetCell(None if data is None else decode(data, longest_px=512).rgb, lines))
    sheet = search_sheet(cells)
    if file == "-":
        write_bytes(sheet)
    else:
        write(file, [sheet])
