"""``cvsim serve``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb


@click.command(cls=Verb, epilog="Example: cvsim serve --store photos.db")
@options.store
@options.index_signals
@options.page
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Let others in at this address of the machine; needs --token-file.  [default: this machine only]",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep the page's token in FILE, so that its address lasts; made where there is none.",
)
@click.option(
    "--tls-cert", type=click.Path(exists=True), metavar="FILE", help="Encrypt, with this certificate,"
)
@click.option("--tls-key", type=click.Path(exists=True), metavar="FILE", help="and its key.")
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
    host: str | None,
    token_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    max_upload: int,
    max_pixels: int,
    rate: int,
    allow_private: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Search an index in the browser: drop, paste or pick a picture; and a JSON API for programs.

    The page is on this machine only, unless --host is given, for whoever has its address. Ctrl-C ends it.
    Programs send the token of the address as a bearer token; /openapi.json describes what they may ask.
    """
    from cvsim.web import require_server

    require_server()
    from cvsim.recipes.opened_index import open_searchable
    from cvsim.web import server
    from cvsim.web.access import Access
    from cvsim.web.search_app import make_search_app, uploads
    from cvsim.web.search_service import SearchLimits, SearchService

    access = Access.of(host, token_file, tls_cert, tls_key)
    settings = options.settings_from(config, given)
    limits = SearchLimits(max_upload, max_pixels, rate)
    service = SearchService(
        lambda: open_searchable(store, settings, create=False), limits, allow_private=allow_private
    )

    def on_ready(address: str) -> None:
        click.echo(address)
        if access.warning is not None:
            click.echo(f"cvsim: warning: {access.warning}", err=True)
        if not quiet:
            click.echo("cvsim: open this address; Ctrl-C ends it", err=True)

    server.serve(
        lambda: make_search_app(service),
        port=port,
        open_browser=not no_browser,
        on_ready=on_ready,
        uploads=uploads(limits),
        access=access,
    )
