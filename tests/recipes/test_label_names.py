"""Labels name files as people do: relative, with a dot, absolute, or with backslashes."""

from __future__ import annotations

import pytest

from cvsim.errors import UsageError
from cvsim.recipes.labelling import labels_for


def test_every_way_to_name_a_file_finds_it(tmp_path):
    files = ["a.jpg", "b/c.jpg", "d.jpg", "e.jpg"]
    paths = [str(tmp_path / file) for file in files]
    given = {"./a.jpg": "1", "b\\c.jpg": "2", paths[2]: "3", "e.jpg": "-1"}
    assert labels_for(files, given, paths=paths) == ["1", "2", "3", ""]
    with pytest.raises(UsageError, match="twice"):
        labels_for(files, {"a.jpg": "1", "./a.jpg": "2"}, paths=paths)
