"""From a shop's list of addresses to a search in the browser: fetched, indexed by label, asked for by label.

With CVSIM_TEST_DATA the shop sells what is photographed there, which is better to look at.
"""

from __future__ import annotations

import csv
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import engine_places
import pytest
from generate import save_image, scene
from PIL import Image

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")
pytest.importorskip("httpx", reason="pip install 'cvsim[remote]'")
pytest.importorskip("playwright.sync_api", reason="the extra 'test' has it")

ROOT = Path(__file__).parents[2]
N_EACH, LABELS = 6, ("42", "57", "108")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def cvsim(*arguments: object) -> None:
    command = [sys.executable, "-m", "cvsim", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def photographed(shop: Path) -> dict[str, list[str]]:
    """Photos of three products, by label: real ones where there are any."""
    names: dict[str, list[str]] = {label: [] for label in LABELS}
    if data := os.environ.get("CVSIM_TEST_DATA"):
        folder = Path(data) / "products-cartons"
        with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
            files: dict[str, list[str]] = {}
            for row in csv.DictReader(stream):
                files.setdefault(row["label"], []).append(row["file"])
        found = {path.name: path for path in folder.rglob("*.jpg")}
        for label, product in zip(LABELS, sorted(files)[:: len(files) // 3], strict=False):
            for number, file in enumerate(files[product][:N_EACH]):
                names[label].append(f"{label}-{number}.jpg")
                Image.open(found[file]).convert("RGB").save(shop / names[label][-1], quality=90)
        return names
    for k, label in enumerate(LABELS):
        for number in range(N_EACH):
            names[label].append(f"{label}-{number}.jpg")
            save_image(shop / names[label][-1], scene(10 * k + number, 320, 240))
    return names


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which a list in the form of iMaterialist's was fetched."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop").mkdir()
    names = photographed(folder / "shop")
    served = partial(Quiet, directory=str(folder / "shop"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        listed = [(name, label) for label, files in names.items() for name in files]
        url = f"http://127.0.0.1:{server.server_address[1]}"
        manifest = {
            "images": [{"image_id": k, "url": f"{url}/{name}"} for k, (name, _) in enumerate(listed)],
            "annotations": [{"image_id": k, "label_id": int(label)} for k, (_, label) in enumerate(listed)],
        }
        (folder / "train.json").write_text(json.dumps(manifest), encoding="utf-8")
        wanted = [part for label in LABELS for part in ("--label", label)]
        cvsim("fetch", folder / "train.json", *wanted, "-o", folder / "products", "--allow-private")
        server.shutdown()
    return folder / "products"


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("opensearch", marks=pytest.mark.opensearch)])
def test_a_label_is_asked_for_in_the_page(engine: str, products: Path, tmp_path: Path, browser: Any) -> None:
    location = str(tmp_path / "shop.db")
    if engine != "sqlite":
        location = engine_places.LOCATIONS[engine]()
        engine_places.emptied(location).close()
    cvsim("index", products, "--by-label", "--store", location)
    first = sorted(products.glob("*.jpg"))[0]
    query = tmp_path / "seen-elsewhere.jpg"
    with Image.open(first) as photo:
        width, height = photo.size
        photo.crop((width // 10, height // 10, width, height)).save(query, quality=60)
    command = [sys.executable, "-m", "cvsim", "serve", "--store", location, "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        page.goto(process.stdout.readline().strip())
        page.set_input_files("#file", query)
        page.wait_for_selector("#copies li, #status.bad", timeout=120_000)
        assert page.text_content("#copies li .name") == first.name
        labels = page.locator("#label option").all_text_contents()
        assert [text.split(" ")[0] for text in labels] == ["any", *sorted(LABELS)]
        for width in (1400, 390) if "CVSIM_SCREENSHOT" in os.environ else ():
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=f"{os.environ['CVSIM_SCREENSHOT']}-{engine}-{width}.png")
        page.select_option("#label", LABELS[1])
        page.wait_for_function("() => document.querySelectorAll('#copies li').length === 0", timeout=120_000)
        page.wait_for_selector("#alike li", timeout=120_000)
        with (products / "labels.csv").open(newline="", encoding="utf-8") as stream:
            right = {row["file"] for row in csv.DictReader(stream) if row["label"] == LABELS[1]}
        assert set(page.locator("#alike li .name").all_text_contents()) == right
        page.close()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
