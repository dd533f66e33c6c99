"""Strangers on one template have the same lines with other letters in them; copies keep their letters."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from generate import RGB, altered, save_image

import cvsim
from cvsim.features.evidence import similarities
from cvsim.features.local import Local

INK, ACCENT = (25, 25, 30), (30, 60, 140)
TELLS = 0.94
"""Where `writing` weighs half of what it can."""
KEEPS_LETTERS = ("jpeg-low", "webp", "brighter", "grey", "mirrored", "half", "crop90", "blurred", "tilted")


def ticket(number: int) -> RGB:
    """Of one theatre: what is printed is the same on all, what is written, and the bars, are other ones."""
    rng = np.random.default_rng(number)
    picture = np.full((300, 720, 3), 250, np.uint8)
    cv2.rectangle(picture, (8, 8), (711, 291), ACCENT, 4)

    def write(text: str, y: int, size: float, color: tuple[int, int, int] = INK) -> None:
        cv2.putText(picture, text, (36, y), cv2.FONT_HERSHEY_DUPLEX, size, color, 2, cv2.LINE_AA)

    write("TOWN THEATRE", 62, 1.2, ACCENT)
    write("".join(rng.choice(list("abcdefghiklmnoprstuvw"), 14)), 128, 1.0)
    write(f"Row {rng.integers(1, 30)}  Seat {rng.integers(1, 60)}", 180, 1.1)
    write(f"{rng.integers(1, 29)} May, {rng.integers(14, 22)}:30", 240, 0.8)
    x = 660
    while x > 440:
        wide = int(rng.choice((3, 5, 8)))
        cv2.rectangle(picture, (x - wide, 40), (x, 260), INK, -1)
        x -= wide + int(rng.choice((4, 6, 9)))
    return picture


def writing(a: RGB, b: RGB) -> float:
    local = Local()
    x, y = local.extract(a), local.extract(b)
    assert x is not None
    assert y is not None
    return float(similarities(local.evidence(x, y))["writing"])


@pytest.mark.parametrize("number", range(8))
def test_strangers_on_one_template_are_told_apart(number: int) -> None:
    assert writing(ticket(number), ticket(number + 100)) < TELLS


@pytest.mark.parametrize("turned", [False, True])
def test_it_does_not_matter_how_lines_run(turned: bool) -> None:
    a, b = ticket(3), ticket(4)
    said = writing(*(np.ascontiguousarray(np.rot90(side)) if turned else side for side in (a, b)))
    assert said == pytest.approx(writing(b, a), abs=0.02)


@pytest.mark.parametrize("kind", KEEPS_LETTERS)
def test_copies_keep_their_letters(kind: str) -> None:
    for number in range(4):
        assert writing(ticket(number), altered(ticket(number), kind, number)) > 0.99, number


def test_a_caption_has_lines_of_its_own() -> None:
    for number in range(4):
        captioned = ticket(number)
        cv2.putText(captioned, "SOLD OUT", (60, 210), cv2.FONT_HERSHEY_DUPLEX, 3.2, (200, 30, 30), 12)
        assert writing(ticket(number), captioned) > 0.97, number


def test_a_folder_of_tickets_has_no_groups_but_those_of_copies(tmp_path: Path) -> None:
    for number in range(12):
        save_image(tmp_path / f"{number:02}.png", ticket(number))
    save_image(tmp_path / "05-copy.jpg", altered(ticket(5), "brighter", 0))
    found = cvsim.dedupe([tmp_path], cache=None)
    groups = [sorted(Path(m.record.path).name for m in group.members) for group in found.groups]
    assert groups == [["05-copy.jpg", "05.png"]]
