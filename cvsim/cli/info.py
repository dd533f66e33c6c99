"""``cvsim info``: what to put into a bug report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cvsim._version import __version__
from cvsim.cli import options
from cvsim.cli.command import Verb
from cvsim.executors.allowance import OPTION, allowed_bytes
from cvsim.settings import PROFILES, available_cores, user_config_path

_CORE = (
    "click",
    "imagehash",
    "jinja2",
    "markupsafe",
    "msgspec",
    "networkx",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "platformdirs",
    "rich",
    "scikit-learn",
    "scipy",
    "send2trash",
    "simplejpeg",
    "threadpoolctl",
)
_EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "dask": (("distributed",), "work on several machines"),
    "embeddings": (("onnx", "onnxruntime", "pooch"), "image networks as one more signal"),
    "fast": (("numba",), "a compiled kernel for the search of near hashes"),
    "graph": (("igraph", "leidenalg"), "the method leiden of cluster"),
    "heif": (("pillow-heif",), "HEIC and HEIF files"),
    "jxl": (("pillow-jxl-plugin",), "JPEG XL files"),
    "milvus": (("grpcio", "milvus-lite", "pymilvus"), "indexes in Milvus"),
    "opensearch": (("opensearch-py",), "indexes in OpenSearch and Elasticsearch"),
    "parquet": (("pyarrow",), "pairs and vectors as Parquet files"),
    "plot": (("matplotlib",), "maps as pictures"),
    "raw": (("rawpy",), "camera RAW files"),
    "remote": (("httpcore", "httpx"), "downloads, and search by a URL"),
    "torch": (("onnx", "onnx2torch", "onnxruntime", "torch"), "training of networks"),
    "web": (("python-multipart", "starlette", "uvicorn"), "review and search in the browser"),
}
"""What each extra brings. Its distributions, and those of the core, repeat pyproject.toml for a cvsim that
runs from a source tree, where no metadata of an installation can be asked."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;.*\bextra\s*==\s*['\"]([\w-]+)['\"])?")


@click.command(cls=Verb, epilog="Example: cvsim info --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def info(as_json: bool, config: str | None, quiet: bool) -> None:
    """Show versions, optional parts, formats, signals and where the cache is."""
    facts = _facts(config)
    if as_json:
        from cvsim.files import dumps

        click.echo(dumps(facts), nl=False)
        return
    for line in _lines(facts):
        click.echo(line)


def _facts(config: str | None) -> dict[str, Any]:
    from cvsim.settings import read_config
    from cvsim.stores import default_cache_path

    cache = read_config(config).get("cache") or default_cache_path()
    core, extras = _requirements()
    return {
        "cvsim": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": available_cores(),
        "parts": {name: _version(name) for name in core},
        "extras": {extra: all(_version(name) for name in names) for extra, names in extras.items()},
        "formats": _formats(),
        "format_table": _format_table(),
        "picture_memory_bytes": allowed_bytes(),
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


def _requirements() -> tuple[Sequence[str], Mapping[str, Sequence[str]]]:
    """The distributions that the core needs, and those that each extra brings; ``test`` is for developers."""
    try:
        metadata = importlib.metadata.metadata("cvsim")
    except importlib.metadata.PackageNotFoundError:
        return _CORE, {extra: names for extra, (names, _) in _EXTRAS.items()}
    extras = sorted(set(metadata.get_all("Provides-Extra") or ()) - {"test"})
    needed: dict[str, list[str]] = {extra: [] for extra in ["", *extras]}
    for requirement in metadata.get_all("Requires-Dist") or ():
        match = _REQUIREMENT.match(requirement)
        if match is not None and (match[2] or "") in needed:
            needed[match[2] or ""].append(match[1])
    return needed.pop(""), needed


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _formats() -> list[str]:
    """What can be decoded here: some formats depend on how Pillow was built, or on an extra."""
    from cvsim.images.formats import FORMAT_TABLE

    return sorted(entry.name for entry in FORMAT_TABLE.values() if entry.is_available)


def _format_table() -> list[dict[str, Any]]:
    """The formats that are known: what brings them, what they may hold, what decoding takes."""
    from cvsim.images.formats import FORMAT_TABLE

    return [
        {
            "name": entry.name,
            "endings": list(entry.endings),
            "decoder": entry.decoder,
            "extra": entry.extra or None,
            "available": entry.is_available,
            "holds": entry.holds,
            "bytes_per_pixel": entry.bytes_per_pixel,
        }
        for entry in FORMAT_TABLE.values()
    ]


def _lines(facts: dict[str, Any]) -> list[str]:
    from cvsim.names import printable

    parts = ", ".join(f"{name} {version or 'missing'}" for name, version in facts["parts"].items())
    lines = [
        f"cvsim      {facts['cvsim']}",
        f"python     {facts['python']} on {facts['system']}, {facts['cores']} cores",
        f"parts      {parts}",
        f"formats    {', '.join(facts['formats'])}",
    ]
    for one in facts["format_table"]:
        holds = f"; may hold {one['holds']}" if one["holds"] else ""
        needs = (
            "" if one["available"] else f"; needs the extra {one['extra']}" if one["extra"] else "; not here"
        )
        lines.append(
            f"           {one['name']}: {' '.join(one['endings'][:4])}; {one['decoder']}, "
            f"{one['bytes_per_pixel']} bytes a pixel{holds}{needs}"
        )
    lines.append(
        f"memory     {facts['picture_memory_bytes'] / 1e9:.1f} GB for one picture at most ({OPTION})"
    )
    for extra, present in facts["extras"].items():
        state = "installed" if present else f"not installed: pip install 'cvsim[{extra}]'"
        brings = f" ({_EXTRAS[extra][1]})" if extra in _EXTRAS else ""
        lines.append(f"extra      {extra}{brings}: {state}")
    for name, profile in facts["profiles"].items():
        lines.append(f"profile    {name}, threshold {profile['threshold']}")
        lines += [
            f"           {effort}: {', '.join(signals)}" for effort, signals in profile["signals"].items()
        ]
    return [*lines, f"config     {printable(facts['config'])}", f"cache      {printable(facts['cache'])}"]
