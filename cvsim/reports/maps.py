"""Maps of a collection: pictures laid out so that those with near vectors lie near each other."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from markupsafe import Markup
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from cvsim.errors import MissingExtraError, UsageError
from cvsim.reports.pages import asset, csp_hash, page_templates

if TYPE_CHECKING:
    from numpy.typing import NDArray

Layout = Literal["tsne", "pca"]
LAYOUTS = ("tsne", "pca")
MAP_THUMBNAIL_PX = 64
MAP_DPI = 110
GRID_SHARE, MOST_DRAWN = 0.6, 1600
"""Share of the places of a drawn map that are taken, which leaves its shape to be seen, and pictures that are
drawn at most: a page of 53 by 53 places, 4,000 pixels a side. Both chosen by hand."""
TSNE_COMPONENTS = 50
"""Principal components that t-SNE starts from: the rest is noise and costs time."""
PARALLEL_FROM = 1000
"""Pictures from which t-SNE runs in threads. Chosen by hand: 18 took five seconds of two busy cores in
threads, and a tenth of a second without."""


def layout(vectors: NDArray[np.float32], how: str = "tsne", seed: int = 0) -> NDArray[np.float64]:
    """(n, 2) positions in [0, 1], x to the right and y up; rows with NaN count as zeros.

    Raises
    ------
    UsageError
        Fewer than two rows.
    """
    if len(vectors) < 2:
        raise UsageError("a map needs at least two pictures")
    rows = np.nan_to_num(vectors).astype(np.float64)
    n_components = min(TSNE_COMPONENTS if how == "tsne" else 2, *rows.shape)
    flat = PCA(n_components, random_state=seed).fit_transform(rows)
    # A perplexity of 30 needs several times as many points; with a handful there is nothing to unfold.
    if how == "tsne" and len(rows) >= 10:
        perplexity = min(30.0, (len(rows) - 1) / 3)
        # Each of its thousand steps over a few points takes less than threads that wait for each other.
        with threadpool_limits(1 if len(rows) < PARALLEL_FROM else None):
            flat = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(flat)
    flat = np.pad(flat, ((0, 0), (0, max(0, 2 - flat.shape[1]))))[:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    positions: NDArray[np.float64] = (flat - low) / np.maximum(high - low, 1e-12)
    return positions


def colors(labels: Sequence[str]) -> list[str]:
    """One CSS colour a picture, the same for the same label; far apart in hue for labels in a row."""
    code = {label: i for i, label in enumerate(sorted(set(labels)))}
    # Steps of the golden angle never come back to a hue.
    return [f"hsl({code[label] * 137.508 % 360:.0f} 65% {40 + code[label] % 3 * 10}%)" for label in labels]


def small(thumbnail: bytes | None) -> NDArray[np.uint8] | None:
    """A thumbnail's pixels, (h, w, 3) RGB with the longer side at most `MAP_THUMBNAIL_PX`."""
    found = None if thumbnail is None else cv2.imdecode(np.frombuffer(thumbnail, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        return None
    scale = min(1.0, MAP_THUMBNAIL_PX / max(found.shape[:2]))
    size = (max(1, round(found.shape[1] * scale)), max(1, round(found.shape[0] * scale)))
    pixels: NDArray[np.uint8] = cv2.cvtColor(
        cv2.resize(found, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB
    )
    return pixels


def apart(positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Places on a grid near the positions, each taken once, and how many lie along a side of the grid.

    The places whose squared distances to the positions are least in sum (the linear assignment problem).
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    n_cells = max(2, int(np.ceil(np.sqrt(len(positions) / GRID_SHARE))))
    line = (np.arange(n_cells) + 0.5) / n_cells
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    _, cell = linear_sum_assignment(cdist(positions, grid, "sqeuclidean"))
    return grid[cell], n_cells


def map_png(
    positions: NDArray[np.float64], labels: Sequence[str], thumbnails: Sequence[bytes | None], title: str
) -> bytes:
    """A PNG of the map, pictures framed in the colour of their label, none on top of another.

    Of more than `MOST_DRAWN` pictures, as many spread evenly are shown, and dots for the others.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage
    except ImportError as exc:
        raise MissingExtraError("Maps as PNG", "plot") from exc
    import colorsys

    shown = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), MOST_DRAWN)).astype(int))
    places, n_cells = apart(positions[shown])
    side = max(14.0, n_cells * (MAP_THUMBNAIL_PX + 14) / MAP_DPI)
    figure = Figure(figsize=(side, side), dpi=MAP_DPI, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), xticks=[], yticks=[], title=title.replace("$", r"\$"))
    code = {label: i for i, label in enumerate(sorted(set(labels)))}
    rgb = [colorsys.hls_to_rgb(code[label] * 137.508 % 360 / 360, 0.5, 0.65) for label in labels]
    dots = np.ones(len(labels), bool)
    # A pixel of a thumbnail is one of the figure: an offset image counts in points of 1/72 inch.
    zoom = 72 / MAP_DPI * 0.9
    for k, place in zip(shown.tolist(), places, strict=True):
        pixels = small(thumbnails[k])
        if pixels is not None:
            dots[k] = False
            frame = {"edgecolor": rgb[k], "linewidth": 2, "boxstyle": "square,pad=0"}
            picture = OffsetImage(pixels, zoom=zoom)
            axes.add_artist(AnnotationBbox(picture, tuple(place), bboxprops=frame, pad=0.2))
    left = positions[dots]
    axes.scatter(left[:, 0], left[:, 1], c=[rgb[k] for k in np.flatnonzero(dots)], s=16)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def map_html(
    maps: dict[str, NDArray[np.float64]],
    names: Sequence[str],
    labels: Sequence[str],
    thumbnails: Sequence[bytes | None],
) -> bytes:
    """One self-contained page for mouse, fingers and keys: move, zoom, and see the name of a picture.

    Nothing is fetched from anywhere, and a content security policy sees to it. File names and labels reach
    the page as data, never as markup.

    Parameters
    ----------
    maps : mapping of name to (n, 2) positions
        The page switches between them.
    """
    data = {
        "names": [_text(name) for name in names],
        "labels": [_text(label) for label in labels],
        "colors": colors(labels),
        "maps": {how: np.round(positions, 4).tolist() for how, positions in maps.items()},
        "images": [_data_url(thumbnail) for thumbnail in thumbnails],
    }
    # "<" cannot end the script element when it is written as an escape.
    style = asset("map.css")
    script = "const DATA = " + json.dumps(data).replace("<", "\\u003c") + ";\n" + asset("map.js")
    page = page_templates("cvsim.reports").get_template("map.html")
    return page.render(
        style=Markup(style),
        script=Markup(script),
        n_pictures=len(names),
        style_hash=csp_hash(style),
        script_hash=csp_hash(script),
    ).encode()


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _data_url(thumbnail: bytes | None) -> str:
    return "" if thumbnail is None else "data:image/jpeg;base64," + base64.b64encode(thumbnail).decode()
