"""An index in an engine whose machine fails in the middle of indexing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import opensearch_node
import opensearch_places
import pytest
from generate import save_image, scene

import cvsim
from cvsim.errors import StoreError
from cvsim.stores import open_index

pytestmark = pytest.mark.opensearch

N_PICTURES = 60


@pytest.fixture(scope="module")
def node() -> Iterator[opensearch_node.OpenSearchNode]:
    """One of its own: it is killed."""
    if os.environ.get(opensearch_places.SERVER_VARIABLE) != "start":
        pytest.skip(f"{opensearch_places.SERVER_VARIABLE}=start starts the node that is killed")
    if why := opensearch_node.missing():
        pytest.skip(why)
    with opensearch_node.OpenSearchNode() as started:
        yield started


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(N_PICTURES):
        save_image(folder / f"{seed:02}.jpg", scene(seed, 160, 120))
    return folder


def killed_once_it_holds(node: opensearch_node.OpenSearchNode, location: str, n: int) -> threading.Thread:
    """Kills the node as soon as it knows so many files."""

    def wait_and_kill() -> None:
        with open_index(location) as watching:
            while watching.info().n_files < n:
                time.sleep(0.02)
        node.kill()

    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    return thread


def index_for_ever(location: str, pictures: Path) -> None:
    """However long it takes until the node goes, it is at work then."""
    with cvsim.Index.open(location) as index:
        while True:
            index.add([pictures])
            index.store.clear()


def test_what_a_killed_node_forgot_is_indexed_again_and_nothing_twice(
    node: opensearch_node.OpenSearchNode, pictures: Path
) -> None:
    location = f"{node.location}/dies"
    killing = killed_once_it_holds(node, location, 1)
    with pytest.raises(StoreError, match="OpenSearch"):
        index_for_ever(location, pictures)
    killing.join()
    node.start()
    with cvsim.Index.open(location) as index:
        index.add([pictures])
        assert index.add([pictures]).n_new == 0
        info = index.store.info()
        assert (info.n_files, info.n_images, index.store.n_keyed()) == (N_PICTURES, N_PICTURES, N_PICTURES)
        for seed in (0, 17, N_PICTURES - 1):
            name = f"{seed:02}.jpg"
            hits = index.search(pictures / name, k=3)
            assert [Path(hit.path).name for hit in hits if hit.relation == "identical-file"] == [name]
