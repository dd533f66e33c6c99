"""Serving a local page: on loopback, at an address that holds its key, until Ctrl-C."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping

import uvicorn
from starlette.applications import Starlette

from cvsim.errors import CvsimError
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.web.access import Access
from cvsim.web.guard import Guard, new_token


@one_opencv_thread()
def serve(
    make_app: Callable[[], Starlette],
    *,
    port: int = 0,
    open_browser: bool = True,
    on_ready: Callable[[str], None],
    uploads: Mapping[str, int] | None = None,
    access: Access | None = None,
) -> None:
    """Serve an application; returns after Ctrl-C.

    Parameters
    ----------
    make_app : callable
        Makes the application; its ``state.csrf`` is set before it is served.
    port : int
        0: any that is free.
    open_browser : bool
        Open the address in the user's browser.
    on_ready : callable
        Told the address, which holds the token, as soon as the port is bound.
    uploads : mapping of str to int, optional
        Paths that take a file, and how many bytes at most.
    access : Access, optional
        To whom; to this machine's user, by a new token, if not given.

    Raises
    ------
    CvsimError
        The port is taken.
    """
    access = access or Access()
    with _bound(access.host, port) as listener:
        port = listener.getsockname()[1]
        token = access.token or new_token()
        app = make_app()
        guard = Guard(
            app,
            port=port,
            token=token,
            uploads=uploads,
            answers_to=access.answers_to(port),
            scheme=access.scheme,
        )
        app.state.csrf = guard.csrf
        address = access.address(port, token)
        # No access log: it would hold the token.
        config = uvicorn.Config(
            guard,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=2,
            ssl_certfile=access.certificate,
            ssl_keyfile=access.key,
        )
        # What was read so far stays: a plan of ten thousand groups is half a million objects, and each full
        # collection, which every larger answer starts, would look at all of them.
        gc.collect()
        gc.freeze()
        with contextlib.suppress(KeyboardInterrupt):
            on_ready(address)
            if open_browser:
                # Asking the desktop can take seconds; the page is up before it answers.
                threading.Thread(target=_open, args=(address,), daemon=True).start()
            uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.closing(listener):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()  # from here on, who comes before the server is up waits
        except (OSError, OverflowError) as exc:
            raise CvsimError(
                f"Port {port} of {host} cannot be used: {exc}; choose another with --port"
            ) from exc
        yield listener


def _open(address: str) -> None:
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(address)
