from __future__ import annotations

import json
import math
import os
from dataclasses import replace

import numpy as np
from made_result import chain, made_result, renamed, star

from cvsim.reports.json import comparison_document, to_json
from cvsim.types import Skipped

KEYS = {
    "report": ["schema", "settings", "counts", "groups", "skipped"],
    "counts": ["files", "images", "skipped", "groups", "duplicates", "reclaimable_bytes"],
    "group": ["id", "keep", "weakest_link", "weakest_pair", "bridges", "members", "edges"],
    "member": ["path", "width_px", "height_px", "size_bytes", "damaged", "score"],
    "edge": ["a", "b", "score", "prior", "relation", "contained", "signals"],
    "signal": ["name", "similarity", "weight"],
}
"""The keys that other programs rely on."""


def test_every_promised_key_is_there() -> None:
    document = json.loads(to_json(made_result(skipped=(Skipped("x.jpg", "truncated JPEG"),))))
    group = document["groups"][0]
    edge = group["edges"][0]
    for name, value in [
        ("report", document),
        ("counts", document["counts"]),
        ("group", group),
        ("member", group["members"][0]),
        ("edge", edge),
        ("signal", edge["signals"][0]),
    ]:
        assert set(KEYS[name]) <= set(value), name
    assert document["schema"] == "cvsim.report/1"
    assert document["skipped"] == [{"path": "x.jpg", "reason": "truncated JPEG"}]
    assert document["counts"]["files"] == document["counts"]["images"] + document["counts"]["skipped"]
    assert group["keep"] == group["members"][0]["path"]


def test_no_evidence_and_never_scored_are_null() -> None:
    document = json.loads(to_json(made_result(chain(1, "k", "m", "z"))))
    group = document["groups"][0]
    assert group["members"][2]["score"] is None
    assert group["edges"][0]["signals"][-1]["similarity"] is None


def test_a_name_that_is_not_utf8_comes_back_byte_for_byte() -> None:
    path = os.fsdecode(b"p/caf\xe9\n.jpg")
    text = to_json(renamed(made_result(), "p/b.jpg", path))
    assert text.isascii()
    assert "\\udce9" in text
    back = json.loads(text)["groups"][0]["members"][1]["path"]
    assert os.fsencode(back) == b"p/caf\xe9\n.jpg"


def test_equal_results_are_equal_bytes_whatever_floats_they_hold() -> None:
    result = made_result()
    group = result.groups[0]
    edge = replace(group.edges[0], score=np.float64(group.edges[0].score))
    other = replace(result, groups=(replace(group, edges=(edge,)), *result.groups[1:]), stats={"seconds": 3})
    assert to_json(other) == to_json(result)


def test_what_json_has_no_word_for_is_null() -> None:
    group = star(1, "a", "b")
    edge = replace(group.edges[0], prior=math.inf)
    assert comparison_document(edge)["prior"] is None
    assert (
        json.loads(to_json(made_result(replace(group, edges=(edge,)))))["groups"][0]["edges"][0]["prior"]
        is None
    )
