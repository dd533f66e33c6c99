from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from onnx_models import mean_color_model

from cvsim.errors import RemoteError, SettingsError
from cvsim.features.embedding import PREPROCESSING, Embedding
from cvsim.products.pretrained import CACHE_VARIABLE, NETWORKS, Network, resolve


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Network, ThreadingHTTPServer]]:
    """A network on a server of this machine, and an empty cache."""
    (tmp_path / "site").mkdir()
    file = Path(mean_color_model(tmp_path / "site" / "mean.onnx"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(file.parent)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/mean.onnx"
    yield Network(url, hashlib.sha256(file.read_bytes()).hexdigest(), "mean.onnx", "unit", 1), server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_preset_is_downloaded_once(published, tmp_path):
    network, server = published
    spec = resolve("mean", {"mean": network})
    assert spec == f"unit={tmp_path / 'cache' / 'mean.onnx'}"
    assert Embedding(spec).extract(np.full((9, 9, 3), 200, np.uint8)) is not None
    server.shutdown()
    server.server_close()
    assert resolve("mean", {"mean": network}) == spec


def test_another_file_than_the_published_one_is_refused(published, tmp_path):
    network, _ = published
    wrong = Network(network.url, "0" * 64, network.file, network.preprocessing, 1)
    with pytest.raises(SettingsError, match="another file than the one that was published"):
        resolve("mean", {"mean": wrong})
    assert not (tmp_path / "cache" / "mean.onnx").exists()


def test_without_a_connection_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    nowhere = Network("http://127.0.0.1:9/none.onnx", "0" * 64, "none.onnx", "clip", 352)
    with pytest.raises(RemoteError, match=r"none\.onnx \(352 MB\) is not in .* yet.*--embedding clip=FILE"):
        resolve("none", {"none": nowhere})


def test_what_is_no_preset_stays_as_it_is():
    assert resolve("clip=model.onnx") == "clip=model.onnx"
    assert resolve("model.onnx") == "model.onnx"


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_preset_is_pinned_and_has_its_preprocessing(name):
    network = NETWORKS[name]
    assert network.preprocessing in PREPROCESSING
    assert network.url.startswith("https://")
    assert len(bytes.fromhex(network.sha256)) == 32
