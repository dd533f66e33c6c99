from __future__ import annotations

import json

from click.testing import CliRunner

from cvsim import __version__
from cvsim.cli.group import cvsim
from cvsim.settings import PROFILES


def test_info_for_a_person_and_as_json() -> None:
    text = CliRunner().invoke(cvsim, ["info"], catch_exceptions=False).stdout
    facts = json.loads(CliRunner().invoke(cvsim, ["info", "--json"], catch_exceptions=False).stdout)
    assert facts["cvsim"] == __version__
    assert {"jpeg", "png", "tiff"} <= set(facts["formats"])
    assert set(facts["profiles"]) == set(PROFILES)
    assert set(facts["extras"]) >= {"fast", "heif"}
    for words in (__version__, facts["python"], facts["cache"], "phash", "jpeg"):
        assert words in text
