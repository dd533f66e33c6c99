from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cvsim.cli import options
from cvsim.settings import Settings


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("2000", 2000),
        ("10k", 10_000),
        ("1.5MB", 1_500_000),
        ("4MiB", 4 << 20),
        ("1 gib".replace(" ", ""), 1 << 30),
    ],
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert options.ByteSize().convert(text, None, None) == n_bytes


@pytest.mark.parametrize("text", ["", "k", "ten", "10x", "-", "1e999", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size"):
        options.ByteSize().convert(text, None, None)


def settings_of(arguments: list[str], **invoking: Any) -> dict[str, Any]:
    """What a verb with every shared option would be called with."""
    seen: dict[str, Any] = {}

    @click.command()
    @options.paths
    @options.scoring
    @options.keeping
    @options.running
    @options.general
    def verb(
        paths: tuple[str, ...], listed: list[str], config: str | None, quiet: bool, **given: Any
    ) -> None:
        seen.update(paths=paths, listed=listed, settings=options.settings_from(config, given))

    result = CliRunner().invoke(verb, arguments, catch_exceptions=False, **invoking)
    assert result.exit_code == 0, result.output
    return seen


@pytest.fixture(autouse=True)
def _no_config_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_nothing_given_is_the_default() -> None:
    assert settings_of(["."])["settings"] == Settings()


def test_everything_given_arrives() -> None:
    line = (
        ". --threshold 0.9 --effort fast --signals phash,color --keep oldest --cache c.sqlite --workers 2 "
        "--exclude *.tmp --exclude cache --hidden --follow-symlinks --min-size 10k --max-size 1MB "
        "--include-ext jpg,png --exclude-ext gif --one-file-system --max-depth 3 --min-pixels 640x480"
    )
    settings = settings_of(line.split())["settings"]
    assert settings.threshold == 0.9
    assert settings.effort == "fast"
    assert settings.signals == ("phash", "color")
    assert settings.keep == "oldest"
    assert settings.cache == "c.sqlite"
    assert settings.workers == 2
    assert settings.scan.exclude == ("*.tmp", "cache")
    assert settings.scan.hidden
    assert settings.scan.follow_symlinks
    assert (settings.scan.min_size_bytes, settings.scan.max_size_bytes) == (10_000, 1_000_000)
    assert (settings.scan.include_ext, settings.scan.exclude_ext) == (("jpg", "png"), ("gif",))
    assert settings.scan.one_file_system
    assert (settings.scan.max_depth, settings.scan.min_pixels) == (3, 307_200)


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('threshold = 0.8\nhidden = true\nkeep = "oldest"\n')
    settings = settings_of([".", "--config", str(config), "--threshold", "0.7"])["settings"]
    assert (settings.threshold, settings.keep, settings.scan.hidden) == (0.7, "oldest", True)


@pytest.mark.parametrize(("text", "value"), [("95%", 0.95), ("99.5 %", 0.995), ("0.9", 0.9), ("1", 1.0)])
def test_a_threshold_may_be_a_percentage(text: str, value: float) -> None:
    assert settings_of([".", "--threshold", text])["settings"].threshold == value


@pytest.mark.parametrize(("text", "words"), [("95", "did you mean 95%?"), ("x", "write 0.95 or 95%")])
def test_what_is_no_threshold(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        options.Probability().convert(text, None, None)
    assert words in str(refused.value)


def test_no_cache_is_none() -> None:
    assert settings_of([".", "--no-cache"])["settings"].cache is None


@pytest.mark.parametrize(("flags", "end"), [([], b"\n"), (["-0"], b"\0")])
def test_a_list_of_files_keeps_their_bytes(flags: list[str], end: bytes) -> None:
    names = [b"a b.jpg", b"caf\xe9.jpg"]
    seen = settings_of(["--files-from", "-", *flags], input=end.join(names) + end)
    assert seen["listed"] == [os.fsdecode(name) for name in names]
    assert seen["paths"] == ()
