"""Fuzz one parser with atheris, guided by coverage: ``run.py PARSER [--seconds N] [--corpus DIR]``.

See README.md here. A crash, a hang of more than a minute or anything but a `CvsimError` ends the run and
leaves the input in ``crash-*`` or ``timeout-*`` in the working folder.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support"), str(ROOT / "samples"), str(Path(__file__).parent)]

with atheris.instrument_imports(include=["cvsim", "json", "csv", "tomllib", "zipfile", "numpy.lib"]):
    from parsers import PARSERS, sound_bytes

    from cvsim.errors import CvsimError


def main() -> None:
    arguments = argparse.ArgumentParser(description="Fuzz one parser of cvsim with atheris.")
    arguments.add_argument("parser", choices=sorted(PARSERS))
    arguments.add_argument("--seconds", type=int, default=600)
    arguments.add_argument("--corpus", type=Path, help="folder of inputs, kept between runs")
    given = arguments.parse_args()
    parser = PARSERS[given.parser]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        corpus = given.corpus or folder / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        (folder / "try").mkdir()
        (corpus / "sound").write_bytes(sound_bytes(parser, folder / "try"))

        def try_one(data: bytes) -> None:
            # One name for all: SQLite's side files of the one before must not be there.
            for left in (folder / "try").iterdir():
                left.unlink()
            path = folder / "try" / parser.file_name
            path.write_bytes(data)
            with contextlib.suppress(CvsimError):
                parser.read(path)

        limits = [f"-max_total_time={given.seconds}", "-timeout=60", "-rss_limit_mb=4096", "-max_len=65536"]
        atheris.Setup([sys.argv[0], str(corpus), *limits, "-print_final_stats=1"], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
