"""The local pages: on this machine, for the person who started them, and for nobody else."""

from __future__ import annotations

from importlib.util import find_spec

from cvsim.errors import MissingExtraError


def require_server() -> None:
    """Raise `MissingExtraError` where the libraries that serve a page are not installed."""
    # Forms with files are read by starlette, by means of python_multipart.
    if (
        find_spec("starlette") is None
        or find_spec("uvicorn") is None
        or find_spec("python_multipart") is None
    ):
        raise MissingExtraError("Pages in the browser", "web")
