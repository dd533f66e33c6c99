from __future__ import annotations

import numpy as np
import pytest

from cvsim.errors import UsageError
from cvsim.reports.maps import layout, map_html
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
