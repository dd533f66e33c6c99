"""Files that may come from elsewhere, damaged in any way: read, or refused with a clear error."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from parsers import FINDINGS, PARSERS, Parser, sound_bytes

from cvsim.errors import CvsimError

BYTES = st.binary(max_size=8) | st.sampled_from(
    [b"\xff" * 8, b"[" * 5000, b"9" * 5000, b"\0", b"-1", b"1e999"]
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "try"
    folder.mkdir()
    return folder


@functools.cache
def sound(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return sound_bytes(PARSERS[name], Path(folder))


def read(parser: Parser, place: Path, data: bytes) -> None:
    for left in place.iterdir():
        left.unlink()
    (place / parser.file_name).write_bytes(data)
    with contextlib.suppress(CvsimError):
        parser.read(place / parser.file_name)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_sound_file_is_read(name: str, place: Path) -> None:
    parser = PARSERS[name]
    (place / parser.file_name).write_bytes(sound(name))
    parser.read(place / parser.file_name)


@pytest.mark.parametrize("name", sorted(PARSERS))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), BYTES), min_size=1, max_size=4),
    cut=st.booleans(),
)
def test_a_damaged_file_is_read_or_refused(
    name: str, place: Path, changes: list[tuple[float, int, bytes]], cut: bool
) -> None:
    data = sound(name)
    for where, n_gone, new in changes:
        at = int(where * len(data))
        data = data[:at] + new + data[at + n_gone :]
    read(PARSERS[name], place, data[: int(changes[0][0] * len(data))] if cut else data)


@pytest.mark.parametrize(
    ("name", "number"), [(name, k) for name, found in FINDINGS.items() for k in range(len(found))]
)
def test_what_fuzzing_found_stays_mended(name: str, number: int, place: Path) -> None:
    read(PARSERS[name], place, FINDINGS[name][number])
