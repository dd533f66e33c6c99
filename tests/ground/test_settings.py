"""Settings in Python, in the configuration file and on the command line: what is right, and what is said of
what is wrong.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from generate import save_image, scene

import cvsim
from cvsim.cli.group import cvsim as command
from cvsim.errors import SettingsError
from cvsim.settings import WANTED, ScanSettings, Settings, read_config, size_in_bytes, with_values


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    save_image(tmp_path / "photos" / "a.png", scene(1, 96, 64))
    save_image(tmp_path / "photos" / "b.tmp.png", scene(1, 96, 64))
    return tmp_path / "photos"


def value_of(settings: Settings, name: str) -> Any:
    return getattr(settings if hasattr(settings, name) else settings.scan, name)


RIGHT: list[tuple[str, Any, Any]] = [
    ("exclude", "*.tmp.jpg", ("*.tmp.jpg",)),
    ("exclude", ["a", "b"], ("a", "b")),
    ("reference", "folder", ("folder",)),
    ("signals", "phash", ("phash",)),
    ("include", "pasted", ("pasted",)),
    ("min_size_bytes", "10k", 10_000),
    ("min_size_bytes", "4MiB", 4 << 20),
    ("min_size_bytes", 0, 0),
    ("max_size_bytes", "1MB", 1_000_000),
    ("min_pixels", "640x480", 307_200),
    ("min_pixels", "0.3M", 300_000),
    ("include_ext", "jpg", ("jpg",)),
    ("threshold", 1, 1.0),
    ("threshold", "95 %", 0.95),
    ("workers", 2, 2),
    ("keep", "resolution,oldest", "resolution,oldest"),
    ("keep", ["folder:/with, a comma", "oldest"], ("folder:/with, a comma", "oldest")),
    ("scheduler", "local:2", "local:2"),
    ("profile", "shop.npz", "shop.npz"),
    ("between_only", True, True),
]
"""A setting, what is given, and what it comes to."""

RIGHT_IN_PYTHON: list[tuple[str, Any, Any]] = [
    ("reference", Path("folder"), ("folder",)),
    ("reference", [Path("a"), "b"], ("a", "b")),
    ("reference", b"caf\xe9", ("caf\udce9",)),
    ("signals", {"tiles", "phash"}, ("phash", "tiles")),
    ("cache", Path("cache.sqlite"), "cache.sqlite"),
    ("cache", None, None),
    ("decisions", Path("answers.json"), "answers.json"),
    ("threshold", np.float32(0.5), 0.5),
    ("workers", np.int64(3), 3),
]

WRONG: list[tuple[str, Any, str]] = [
    ("between_only", "no", "the setting 'between_only' must be true or false; 'no' is not"),
    ("hidden", "false", "the setting 'hidden' must be true or false; 'false' is not"),
    ("follow_symlinks", 1, "the setting 'follow_symlinks' must be true or false; 1 is not"),
    ("workers", 1.5, "the setting 'workers' must be a whole number, from 1 to 1024; 1.5 is not"),
    ("workers", "two", "the setting 'workers' must be a whole number, from 1 to 1024; 'two' is not"),
    ("workers", 0, "the setting 'workers' must be a whole number, from 1 to 1024; 0 is not"),
    ("workers", True, "the setting 'workers' must be a whole number, from 1 to 1024; True is not"),
    ("workers", 10**9, "the setting 'workers' must be a whole number, from 1 to 1024; 1000000000 is not"),
    ("threshold", 1.5, "the setting 'threshold' must be a probability, from 0 to 1; 1.5 is not"),
    ("threshold", float("nan"), "the setting 'threshold' must be a probability, from 0 to 1; nan is not"),
    ("threshold", "0.9", "the setting 'threshold' must be a probability, from 0 to 1; '0.9' is not"),
    ("effort", "slow", "the setting 'effort' must be one of fast, default, thorough; 'slow' is not"),
    ("min_size_bytes", "10x", "the setting 'min_size_bytes' must be a size in bytes: 2000, '10k'"),
    ("min_size_bytes", -1, "the setting 'min_size_bytes' must be a size in bytes: 2000, '10k'"),
    ("max_depth", 0, "the setting 'max_depth' must be a whole number, at least 1; 0 is not"),
    (
        "min_pixels",
        "640x",
        "the setting 'min_pixels' must be a number of pixels: 300000, '0.3M' or '640x480'",
    ),
    ("threshold", "950%", "the setting 'threshold' must be a probability, from 0 to 1; '950%' is not"),
    ("signals", ["phash", 3], "the setting 'signals' must be a list of signals; ['phash', 3] is not"),
    ("exclude", {"a": 1}, "the setting 'exclude' must be a list of patterns; {'a': 1} is not"),
    ("scheduler", "there", "the setting 'scheduler' must be local:N for N processes on this machine"),
    ("thresold", 0.9, "unknown setting 'thresold'; did you mean 'threshold'?"),
    ("min_size", 3, "unknown setting 'min_size'; did you mean 'min_size_bytes'?"),
    ("colour", 3, "unknown setting 'colour'; known: against, between_only, cache, "),
]
"""A setting, what is given, and what the message says."""


def as_toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {as_toml(one)}" for key, one in value.items()) + "}"
    return str(value) if isinstance(value, float) else json.dumps(value)


@pytest.mark.parametrize(("name", "given", "expected"), RIGHT + RIGHT_IN_PYTHON)
def test_what_is_right_in_python(name: str, given: Any, expected: Any) -> None:
    settings = with_values(Settings(), {name: given})
    assert value_of(settings, name) == expected
    assert type(value_of(settings, name)) is type(expected)
    assert hash(settings) == hash(pickle.loads(pickle.dumps(settings)))
    where = ScanSettings if name in {f.name for f in fields(ScanSettings)} else Settings
    assert getattr(where(**{name: given}), name) == expected


@pytest.mark.parametrize(("name", "given", "expected"), RIGHT)
def test_what_is_right_in_the_configuration_file(
    tmp_path: Path, name: str, given: Any, expected: Any
) -> None:
    file = tmp_path / "cvsim.toml"
    file.write_text(f"{name} = {as_toml(given)}\n")
    assert read_config(file) == {name: expected}


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_what_is_wrong_in_python(name: str, given: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        with_values(Settings(), {name: given})
    assert str(caught.value).startswith(message)
    for verb in (cvsim.dedupe, cvsim.prefilter):
        with pytest.raises(SettingsError) as caught:
            verb(["."], **{name: given})
        assert name in str(caught.value)


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_what_is_wrong_in_the_configuration_file(
    tmp_path: Path, photos: Path, name: str, given: Any, message: str
) -> None:
    file = tmp_path / "cvsim.toml"
    file.write_text(f"{name} = {as_toml(given)}\n")
    result = CliRunner().invoke(command, ["dedupe", str(photos), "--no-cache", "--config", str(file)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"cvsim: {file}: {message}")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--between-only=no", "Option '--between-only' does not take a value."),
        ("--hidden=false", "Option '--hidden' does not take a value."),
        ("--workers=1.5", "Invalid value for '--workers': '1.5' is not a valid integer"),
        ("--workers=two", "Invalid value for '--workers': 'two' is not a valid integer"),
        ("--thresold=0.9", "'--threshold'"),
        ("--threshold=1.5", "Invalid value for '--threshold': '1.5' is no probability; write 0.95 or 95%"),
        ("--min-size=10x", "Invalid value for '--min-size': '10x' is no size; write 2000, 10k"),
        ("--effort=slow", "Invalid value for '--effort': 'slow' is not one of 'fast', 'default'"),
        ("--reference=nowhere", "Invalid value for '--reference': Path 'nowhere' does not exist."),
        ("--signals=phsah", "unknown signal 'phsah'; known: "),
        ("--scheduler=there", "the setting 'scheduler' must be local:N for N processes on this machine"),
    ],
)
def test_what_is_wrong_on_the_command_line(photos: Path, option: str, message: str) -> None:
    result = CliRunner().invoke(command, ["dedupe", str(photos), "--no-cache", option])
    assert result.exit_code == 2
    assert message.replace("'", "") in result.stderr.replace("'", "")


@pytest.mark.parametrize("how", ["python", "file", "command line"])
def test_one_pattern_is_one_pattern(tmp_path: Path, photos: Path, how: str) -> None:
    """It was once cut into its letters, of which ``*`` excludes everything."""
    if how == "python":
        assert cvsim.dedupe(photos, exclude="*.tmp.png", cache=None).counts.images == 1
        return
    arguments = ["dedupe", str(photos), "--no-cache", "--json"]
    if how == "file":
        file = tmp_path / "cvsim.toml"
        file.write_text('exclude = "*.tmp.png"\n')
        arguments += ["--config", str(file)]
    else:
        arguments += ["--exclude", "*.tmp.png"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["counts"]["images"] == 1


@pytest.mark.parametrize("how", ["python", "file", "command line"])
def test_one_reference_and_one_signal_are_enough(tmp_path: Path, photos: Path, how: str) -> None:
    library = tmp_path / "library"
    save_image(library / "c.png", scene(1, 96, 64))
    if how == "python":
        report = cvsim.dedupe(photos, reference=library, signals="phash", cache=None)
        settings = report.result.settings
    else:
        arguments = ["dedupe", str(photos), "--no-cache", "--json"]
        if how == "file":
            file = tmp_path / "cvsim.toml"
            file.write_text(f'reference = "{library}"\nsignals = "phash"\n')
            arguments += ["--config", str(file)]
        else:
            arguments += ["--reference", str(library), "--signals", "phash"]
        settings = json.loads(CliRunner().invoke(command, arguments, catch_exceptions=False).stdout)[
            "settings"
        ]
    assert list(settings["reference"]) == [str(library)]
    assert list(settings["signals"]) == ["phash"]


@pytest.mark.parametrize(
    "text",
    [
        "exclude = " + "[" * 5000 + "]" * 5000,
        "exclude" + ".a" * 5000 + " = 1",
        "workers = " + "9" * 5000,
    ],
)
def test_a_deep_file_is_refused_in_words(tmp_path: Path, photos: Path, text: str) -> None:
    file = tmp_path / "cvsim.toml"
    file.write_text(text)
    result = CliRunner().invoke(command, ["dedupe", str(photos), "--config", str(file)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"cvsim: {file}: ")
    assert len(result.stderr) < 1000


@pytest.mark.parametrize("text", ["", "k", "ten", "10x", "-", "1e999", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(SettingsError, match="is no size"):
        size_in_bytes(text)


def test_every_setting_says_what_it_wants() -> None:
    names = {f.name for f in fields(Settings)} - {"scan"} | {f.name for f in fields(ScanSettings)}
    assert set(WANTED) == names


def test_settings_are_values() -> None:
    settings = Settings(workers=2)
    assert settings == Settings(workers=2)
    assert {settings: 1}[replace(Settings(), workers=2)] == 1
