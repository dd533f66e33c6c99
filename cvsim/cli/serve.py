"""``cvsim serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb

if TYPE_CHECKING:
    from cvsim.stores import SearchableStore


@click.command(cls=Verb, epilog="Example: cvsim serve --store photos.db")
@options.store
@options.index_signals
@options.page
@click.option(
    "--max-upload",
    type=options.ByteSize(),
    default="30MB",
    show_default=True,
    metavar="SIZE",
    help="Refuse larger queries.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=100_000_000,
    metavar="N",
    help="Refuse queries of more pixels.  [default: 100 million]",
)
@click.option(
    "--rate", type=click.IntRange(1), default=60, show_default=True, metavar="N", help="Searches a minute."
)
@click.option(
    "--allow-private", is_flag=True, help="Also fetch URLs from this machine and the local network."
)
@options.general
def serve(
    store: str,
    port: int,
    no_browser: bool,
    max_upload: int,
    max_pixels: int,
    rate: int,
    allow_private: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Search an index in the browser: drop, paste or pick a picture; and a JSON API for programs.

    The page is on this machine only, for whoever has its address. Ctrl-C ends it. Programs send the token of
    the address as a bearer token; /openapi.json describes what they may ask.
    """
    from cvsim.web import require_server

    require_server()
    from cvsim.recipes.index import Signals, check_signals
    from cvsim.stores import open_index
    from cvsim.web import server
    from cvsim.web.search_app import make_search_app, uploads
    from cvsim.web.search_service import SearchLimits, SearchService

    settings = options.settings_from(config, given)
    signals = Signals.of(settings)

    def opened() -> SearchableStore:
        found = open_index(store, create=False)
        check_signals(found, signals)
        return found

    limits = SearchLimits(max_upload, max_pixels, rate)
    service = SearchService(opened, signals, settings, limits, allow_private=allow_private)

    def on_ready(address: str) -> None:
        click.echo(address)
        if not quiet:
            click.echo("cvsim: open this address; Ctrl-C ends it", err=True)

    server.serve(
        lambda: make_search_app(service),
        port=port,
        open_browser=not no_browser,
        on_ready=on_ready,
        uploads=uploads(limits),
    )
