from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cvsim.errors import UsageError
from cvsim.reports import contact_sheet
from cvsim.reports.maps import apart, layout, map_html, map_png
from cvsim.reports.projector import metadata_tsv


@pytest.mark.parametrize("how", ["tsne", "pca"])
@pytest.mark.parametrize("n", [2, 3, 12, 40])
def test_positions_lie_in_the_unit_square(how, n):
    found = layout(np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32), how)
    assert found.shape == (n, 2)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_map_of_one_picture_is_refused():
    with pytest.raises(UsageError):
        layout(np.zeros((1, 3), np.float32))


def test_hostile_names_stay_data():
    name = "</script><img src=x onerror=alert(1)>.jpg"
    page = map_html({"pca": np.zeros((1, 2))}, [name], ["\udcff<b>"], [None]).decode()
    assert "<img src=x" not in page
    assert page.count("</script>") == 1
    assert "default-src 'none'" in page


def test_hostile_names_keep_the_rows_of_metadata():
    lines = metadata_tsv(["a\tb\n.jpg", "c.jpg"], ["x", "y\r"]).decode().splitlines()
    assert len(lines) == 3
    assert all(line.count("\t") == 1 for line in lines)


def test_drawn_pictures_do_not_lie_on_each_other():
    pile = np.random.default_rng(1).normal(0.5, 0.02, size=(60, 2))
    places, n_cells = apart(pile)
    assert len(np.unique(places, axis=0)) == 60
    gaps = cdist(places, places) + np.eye(60)
    assert gaps.min() >= 1 / n_cells - 1e-9


def test_pictures_keep_their_order_on_the_drawn_map():
    line = np.stack([np.linspace(0, 1, 9), np.linspace(0, 1, 9)], axis=1)
    places, _ = apart(line)
    assert np.corrcoef(places[:, 0], line[:, 0])[0, 1] > 0.85
    assert np.corrcoef(places[:, 1], line[:, 1])[0, 1] > 0.85


def test_a_drawn_map_shows_every_picture():
    pytest.importorskip("matplotlib")
    green = cv2.imencode(".jpg", np.full((64, 64, 3), (60, 200, 60), np.uint8))[1].tobytes()
    same = np.full((30, 2), 0.5)
    page = cv2.imdecode(
        np.frombuffer(map_png(same, ["a"] * 30, [green] * 30, "t"), np.uint8), cv2.IMREAD_COLOR
    )
    shown = np.abs(page.astype(int) - (60, 200, 60)).max(axis=2) < 12
    _, _, stats, _ = cv2.connectedComponentsWithStats(shown.astype(np.uint8))
    assert (stats[1:, cv2.CC_STAT_AREA] > 40 * 40).sum() == 30


def test_contact_sheets_put_single_pictures_together_and_two_before_ten(monkeypatch):
    headings = []
    draw = contact_sheet._row
    monkeypatch.setattr(
        contact_sheet, "_row", lambda heading, *rest: headings.append(heading) or draw(heading, *rest)
    )
    labels = ["10", "10", "2", "2", "b", "a", "9", *["big"] * 16]
    pages = list(contact_sheet.contact_sheets(labels, [None] * len(labels)))
    assert len(pages) == 1
    assert headings == ["big: 16 (+2 more)", "2: 2", "10: 2", "alone, 1 to 3 of 3: 9, a, b"]
