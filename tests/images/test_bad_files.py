"""Every file of a collection of malformed, truncated, hostile and odd ones, through the whole machinery."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

DATA = os.environ.get("CVSIM_TEST_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="CVSIM_TEST_DATA names no folder of test data")

PROGRAM = """
    import json, resource, sys
    from cvsim.errors import CvsimError
    from cvsim.executors.local import LocalExecutor
    from cvsim.images.scan import scan
    from decode_job import DecodeJob

    files = scan(sys.argv[1:]).files
    with LocalExecutor(2) as executor:
        results = {
            entry.path: str(result) if isinstance(result, CvsimError) else list(result)
            for entry, result in executor.map(DecodeJob(longest_px=256), files)
        }
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    json.dump({"results": results, "peak_bytes": 1024 * (peaks[0] + 2 * peaks[1])}, sys.stdout)
"""


def run(*paths: Path) -> dict[str, object]:
    import json

    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert result.stderr == ""
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def test_bad_files_are_decoded_or_have_a_reason_in_bounded_memory() -> None:
    folder = Path(DATA or "") / "bad"
    answer = run(folder)
    results = answer["results"]
    assert isinstance(results, dict)
    assert len(results) == sum(1 for path in folder.rglob("*") if path.is_file())
    reasons = [result for result in results.values() if isinstance(result, str)]
    assert 0 < len(reasons) < len(results)
    for reason in reasons:
        assert reason
        assert "unexpected error" not in reason
        assert "Traceback" not in reason
        assert "\n" not in reason
    assert answer["peak_bytes"] < 1_000_000_000  # type: ignore[operator]


def test_only_the_photograph_that_misses_its_end_is_damaged() -> None:
    results = run(Path(DATA or "") / "camera", Path(DATA or "") / "photos")["results"]
    assert isinstance(results, dict)
    assert not [result for result in results.values() if isinstance(result, str)]
    assert [os.path.basename(path) for path, (_, _, damaged) in results.items() if damaged] == [
        "camera_17.jpg"
    ]
