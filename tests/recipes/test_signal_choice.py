"""`signals=`: what is chosen is computed and shown, and what it cannot do is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from generate import altered, save_image, scene

import cvsim
from cvsim.cli.group import cvsim as program

PHOTO = scene(3, 320, 240)
COPY = altered(PHOTO, "jpeg-low", 3)


def test_a_signal_without_a_weight_is_shown_and_adds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    usual = cvsim.compare(PHOTO, COPY, cache=None)
    assert caplog.text == ""
    more = cvsim.compare(PHOTO, COPY, cache=None, signals=("phash", "tiles", "color", "signature", "local"))
    assert more.score == pytest.approx(usual.score, abs=1e-9)
    (shown,) = (c for c in more.comparisons if c.feature == "signature")
    assert shown.similarity is not None
    assert shown.similarity > 0.7
    assert shown.weight == 0
    assert "signature: shown, but no part of the score: copy-default was not fitted to it" in caplog.text
    assert "at best" not in caplog.text


@pytest.mark.parametrize("signals", [("signature",), ("gradient", "color"), ("color",)])
def test_signals_that_can_link_nothing_are_said_to(
    signals: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_image(tmp_path / "a.jpg", PHOTO)
    save_image(tmp_path / "b.jpg", COPY)
    report = cvsim.dedupe([tmp_path], cache=None, signals=signals)
    assert not report.groups
    assert "no pair of different files can be linked by these signals alone" in caplog.text


def test_a_person_is_told_on_stderr_unless_quiet(tmp_path: Path) -> None:
    for name, rgb in (("a.jpg", PHOTO), ("b.jpg", COPY)):
        save_image(tmp_path / name, rgb)
    arguments = ["dedupe", str(tmp_path), "--signals", "gradient", "--no-cache", "--json"]
    told = CliRunner().invoke(program, arguments, catch_exceptions=False)
    assert told.stderr.count("cvsim: WARNING: ") == 2
    quiet = CliRunner().invoke(program, [*arguments, "-q"], catch_exceptions=False)
    assert quiet.stderr == ""
    assert quiet.stdout == told.stdout
