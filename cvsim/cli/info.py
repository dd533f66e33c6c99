"""``cvsim info``: what to put into a bug report."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Mapping
from typing import Any

import click

from cvsim._version import __version__
from cvsim.cli import options
from cvsim.settings import PROFILES, available_cores, user_config_path

_PARTS = ("numpy", "opencv-python-headless", "pillow", "imagehash", "scikit-learn", "scipy", "networkx")
_EXTRAS: Mapping[str, tuple[str, str]] = {
    "fast": ("numba", "a compiled kernel for the search of near hashes"),
    "heif": ("pillow_heif", "HEIC and HEIF files"),
    "dask": ("distributed", "work on several machines"),
}
"""Each extra with the module that shows whether it is there, and what it brings."""


@click.command(epilog="Example: cvsim info --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def info(as_json: bool, config: str | None, quiet: bool) -> None:
    """Show versions, optional parts, formats, signals and where the cache is."""
    facts = _facts(config)
    if as_json:
        from cvsim.reports.json import dumps

        click.echo(dumps(facts), nl=False)
        return
    for line in _lines(facts):
        click.echo(line)


def _facts(config: str | None) -> dict[str, Any]:
    from cvsim.settings import read_config
    from cvsim.stores import default_cache_path

    cache = read_config(config).get("cache") or default_cache_path()
    return {
        "cvsim": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": available_cores(),
        "parts": {name: _version(name) for name in _PARTS},
        "extras": {
            extra: importlib.util.find_spec(module) is not None for extra, (module, _) in _EXTRAS.items()
        },
        "formats": _formats(),
        "profiles": {
            name: {
                "threshold": profile.threshold,
                "signals": {k: list(v) for k, v in profile.signals.items()},
            }
            for name, profile in PROFILES.items()
        },
        "config": os.fspath(config or user_config_path()),
        "cache": os.fspath(cache),
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _formats() -> list[str]:
    """What can be decoded here: some formats depend on how Pillow was built."""
    from PIL import features

    always = ["bmp", "gif", "ico", "jpeg", "png", "pnm", "tga", "tiff"]
    built_in = {"avif": "avif", "webp": "webp", "jpeg2000": "jpg_2000"}
    found = [name for name, feature in built_in.items() if features.check(feature)]
    if importlib.util.find_spec("pillow_heif") is not None:
        found.append("heic")
    return sorted(always + found)


def _lines(facts: dict[str, Any]) -> list[str]:
    from cvsim.names import printable

    parts = ", ".join(f"{name} {version or 'missing'}" for name, version in facts["parts"].items())
    lines = [
        f"cvsim      {facts['cvsim']}",
        f"python     {facts['python']} on {facts['system']}, {facts['cores']} cores",
        f"parts      {parts}",
        f"formats    {', '.join(facts['formats'])}",
    ]
    for extra, present in facts["extras"].items():
        state = "installed" if present else f"not installed: pip install 'cvsim[{extra}]'"
        lines.append(f"extra      {extra} ({_EXTRAS[extra][1]}): {state}")
    for name, profile in facts["profiles"].items():
        lines.append(f"profile    {name}, threshold {profile['threshold']}")
        lines += [
            f"           {effort}: {', '.join(signals)}" for effort, signals in profile["signals"].items()
        ]
    return [*lines, f"config     {printable(facts['config'])}", f"cache      {printable(facts['cache'])}"]
