"""A page for others: a token that lasts, the names that it answers to, and what it warns of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")

from click.testing import CliRunner

from cvsim.cli.group import cvsim
from cvsim.errors import UsageError
from cvsim.web.access import Access


def test_a_token_lasts_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = str(tmp_path / "token")
    token = Access.of(None, file, None, None).token
    assert token is not None
    assert len(token) > 30
    assert Access.of(None, file, None, None).token == token
    assert os.stat(file).st_mode & 0o777 == 0o600
    os.chmod(file, 0o644)
    with pytest.raises(UsageError, match="others can read the token; chmod 600"):
        Access.of(None, file, None, None)


@pytest.mark.parametrize("content", ["", "short", "x" * 30 + " y", "é" * 30])
def test_a_weak_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(UsageError, match=str(file)):
        Access.of(None, str(file), None, None)


def test_others_are_let_in_only_by_a_lasting_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--token-file"):
        Access.of("0.0.0.0", None, None, None)
    with pytest.raises(UsageError, match="belong together"):
        Access.of(None, None, "cert.pem", None)
    access = Access.of("0.0.0.0", str(tmp_path / "token"), None, None)
    assert access.warning is not None
    assert "without encryption" in access.warning
    encrypted = Access.of("0.0.0.0", str(tmp_path / "token"), "cert.pem", "key.pem")
    assert (encrypted.warning, encrypted.scheme) == (None, "https")
    assert Access.of("127.0.0.1", None, None, None).warning is None


def test_it_answers_to_its_own_names_and_to_no_other(tmp_path: Path) -> None:
    named = Access.of("photos.example", str(tmp_path / "token"), None, None).answers_to(8000)
    assert named("photos.example:8000")
    assert named("127.0.0.1:8000")
    assert not named("evil.example:8000")
    assert not named("photos.example:8001")
    everywhere = Access.of("0.0.0.0", str(tmp_path / "token"), None, None).answers_to(8000)
    assert everywhere("192.0.2.7:8000")
    assert everywhere("[2001:db8::7]:8000")
    assert not everywhere("evil.example:8000")
    assert not everywhere("192.0.2.7:80")


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    answer = CliRunner().invoke(cvsim, ["serve", "--store", str(tmp_path / "x.db"), "--host", "0.0.0.0"])
    assert answer.exit_code == 2
    assert "--token-file" in answer.output
