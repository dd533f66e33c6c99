"""An index with what it is searched by: it knows itself what it was made with."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any

from cvsim.errors import StoreError
from cvsim.features.embedding import split_spec
from cvsim.names import printable
from cvsim.products.pretrained import NETWORKS
from cvsim.recipes.index import Signals, check_signals
from cvsim.settings import EFFORTS, Settings, with_values
from cvsim.stores import SearchableStore, open_index

_MADE_WITH = "made with"
_DEFAULTS: dict[str, Any] = {"effort": "default", "signals": None, "embedding": None}
"""What an index is made with and searched by, and what it is where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class OpenedIndex:
    """An index and what it is searched with.

    Attributes
    ----------
    store : SearchableStore
    signals : Signals
    settings : Settings
        As they were asked for, with the effort, signals and embedding that the index was made with.
    """

    store: SearchableStore
    signals: Signals
    settings: Settings


def open_searchable(location: str | os.PathLike[str], settings: Settings, *, create: bool) -> OpenedIndex:
    """Open an index with the signals that it was made with, unless others are asked for.

    Raises
    ------
    UsageError
        There is none, and none is to be made.
    StoreError
        It cannot be used, or was made with other signals than those asked for.
    """
    store = open_index(location, create=create)
    try:
        return _with_its_signals(store, settings)
    except BaseException:
        store.close()
        raise


def _with_its_signals(store: SearchableStore, settings: Settings) -> OpenedIndex:
    asks_for_none = all(getattr(settings, name) == default for name, default in _DEFAULTS.items())
    noted = store.noted(_MADE_WITH) if asks_for_none else ""
    if noted:
        settings = replace(settings, **_made_with(store, noted))
    signals = Signals.of(settings)
    if asks_for_none and not noted and store.noted("signals") not in ("", signals.description):
        settings, signals = _guessed(store, settings, signals)  # a version made it that noted less
    check_signals(store, signals)
    values = {name: getattr(settings, name) for name in _DEFAULTS}
    if settings.embedding is not None:
        values["embedding"] = _lasting(settings.embedding)
    if not store.noted(_MADE_WITH):
        store.describe(_MADE_WITH, json.dumps(values))
    return OpenedIndex(store, signals, settings)


def _made_with(store: SearchableStore, noted: str) -> dict[str, Any]:
    """The settings that an index notes of those who made it."""
    values = {name: value for name, value in json.loads(noted).items() if name in _DEFAULTS}
    if values.get("signals") is not None:
        values["signals"] = tuple(values["signals"])
    embedding = values.get("embedding")
    path = "" if embedding is None else embedding if embedding in NETWORKS else split_spec(embedding)[-1]
    if path and path not in NETWORKS and not os.path.exists(path):
        raise StoreError(
            f"{store.location} was made with the network {printable(path)}, which is not there: say where it "
            "is with --embedding FILE"
        )
    return values


def _lasting(embedding: str) -> str:
    """An embedding as it can be named from any folder."""
    path = embedding if embedding in NETWORKS else split_spec(embedding)[-1]
    return embedding if path in NETWORKS else embedding.removesuffix(path) + os.path.abspath(path)


def _guessed(store: SearchableStore, settings: Settings, signals: Signals) -> tuple[Settings, Signals]:
    """The effort whose signals an index holds, if any is."""
    kept = store.noted("signals")
    for effort in EFFORTS:
        tried = with_values(settings, {"effort": effort})
        found = Signals.of(tried)
        if found.description == kept:
            return tried, found
    return settings, signals
