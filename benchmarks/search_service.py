#!/usr/bin/env python3
"""The search page's server under load: many large uploads at once, and requests that nobody would write.

    python benchmarks/search_service.py uploads --store LOCATION --picture FILE [--n 100] [--json FILE]
    python benchmarks/search_service.py schema --store LOCATION [--json FILE]

`uploads` sends a picture many times at once, and tells the answers and the resident memory of the server,
alone and with the children in which pictures are decoded. `schema` has schemathesis (pip install
schemathesis) make requests from the OpenAPI document, and tells statuses that the document does not name.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search import resident_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", choices=("uploads", "schema"))
    parser.add_argument("--store", required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = uploads(args) if args.part == "uploads" else schema(args)
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


@contextmanager
def served(store: str) -> Iterator[tuple[int, str, str]]:
    """Process, address and token of a server that lets in everything that is asked."""
    command = [sys.executable, "-m", "cvsim", "serve", "--store", store, "--no-browser", "--rate", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address, _, token = process.stdout.readline().strip().partition("/?token=")
        yield process.pid, address, token
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def uploads(args: argparse.Namespace) -> dict[str, Any]:
    data = args.picture.read_bytes()
    with served(args.store) as (pid, address, token), Watch(pid) as watch:
        started = time.perf_counter()
        statuses = asyncio.run(sent(address, token, data, args.n))
        seconds = time.perf_counter() - started
    return {
        "n": args.n,
        "n_bytes": len(data),
        "statuses": dict(Counter(statuses)),
        "seconds": round(seconds, 1),
        "peak_mb": watch.peak_mb,
        "peak_with_children_mb": watch.peak_with_children_mb,
    }


async def sent(address: str, token: str, data: bytes, n: int) -> list[str]:
    import httpx

    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "image/jpeg",
        "content-length": str(len(data)),
    }
    limits = httpx.Limits(max_connections=2 * n)

    async def parts() -> AsyncIterator[bytes]:
        # Whole, each would be copied into a buffer of the client first, which then stalls for half a minute.
        for start in range(0, len(data), 1 << 18):
            yield data[start : start + (1 << 18)]

    async def one(client: httpx.AsyncClient) -> str:
        try:
            return str((await client.post("/api/search?k=3", content=parts())).status_code)
        except httpx.HTTPError as exc:
            return type(exc).__name__

    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=600, limits=limits) as client:
        return list(await asyncio.gather(*(one(client) for _ in range(n))))


class Watch:
    """The largest memory of a process, and of it with its children, while the block runs."""

    def __init__(self, pid: int) -> None:
        self._pid, self._stopping = pid, threading.Event()
        self.peak_mb = self.peak_with_children_mb = 0
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stopping.wait(0.1):
            own = resident_mb(self._pid)
            self.peak_mb = max(self.peak_mb, own)
            together = sum(map(proportional_mb, family(self._pid)))
            self.peak_with_children_mb = max(self.peak_with_children_mb, together)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._thread.join()


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    parents = {}
    for entry in os.listdir("/proc"):
        try:
            stat = Path(f"/proc/{int(entry)}/stat").read_text(encoding="utf-8", errors="replace")
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


def proportional_mb(pid: int) -> int:
    """Memory of a process, in which what it shares with others counts in part; 0 if it has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
        return int(rollup.partition("\nPss:")[2].split()[0]) >> 10
    except (OSError, IndexError):
        return 0


def schema(args: argparse.Namespace) -> dict[str, Any]:
    program = shutil.which("schemathesis") or str(Path(sys.executable).with_name("schemathesis"))
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    with served(args.store) as (_, address, token):
        command = [program, "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {token}",
                   "--checks", checks, "--max-examples", str(args.n), "--phases", "examples,coverage,fuzzing",
                   "--generation-deterministic", "--request-timeout", "60"]  # fmt: skip
        told = subprocess.run(command, capture_output=True, text=True)
    return {"exit": told.returncode, "told": told.stdout[-3000:].splitlines()}


if __name__ == "__main__":
    main()
