"""Running the peers over labelled sets: every threshold, the safest good one, and what it gives elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from cvsim_runs import grouping_figures
from labelled_sets import LabelledSet
from scipy.cluster.hierarchy import fcluster

ADAPTERS = Path(__file__).with_name("peers.py")
MIN_PRECISION = 0.999


def available(python: str) -> dict[str, dict[str, Any]]:
    """Of each peer: its thresholds and version, or why it is absent."""
    run = subprocess.run([python, str(ADAPTERS), "list"], capture_output=True, text=True)
    if run.returncode:
        print(f"no peers: {python} failed: {run.stderr.strip()[-300:]}", file=sys.stderr)
        return {}
    found: dict[str, dict[str, Any]] = json.loads(run.stdout)
    return found


class PeerRun:
    """One peer's links of one set: described once, kept in a file, cut at any threshold."""

    def __init__(self, python: str, peer: str, version: str, data: LabelledSet, work: Path) -> None:
        self.data = data
        name = f"{data.name}-{data.fingerprint}-{peer.replace(' ', '-')}-{version}"
        kept = work / "peers" / f"{name}.npz"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            paths = kept.with_suffix(".txt")
            paths.write_text("".join(f"{data.folder / name}\n" for name in data.files), encoding="utf-8")
            unfinished = kept.with_suffix(".unfinished")
            command = [python, str(ADAPTERS), "link", peer, str(paths), "-o", str(unfinished)]
            subprocess.run(command, check=True)
            unfinished.rename(kept)
        with np.load(kept) as found:
            self._tree = found["tree"]
            self.wall_s, self.cpu_s = float(found["wall_s"]), float(found["cpu_s"])
            self.n_unreadable = int(found["n_unreadable"])

    def at(self, threshold: float) -> dict[str, Any]:
        """Figures of the connected components at a threshold, inclusive."""
        labels = fcluster(self._tree, threshold, "distance")
        return {"threshold": threshold, **grouping_figures(self.data, labels)}

    def best(self, thresholds: list[float]) -> dict[str, Any] | None:
        """Figures at the threshold of the highest recall among those that are safe; None if none is."""
        rows = [self.at(threshold) for threshold in thresholds]
        safe = [row for row in rows if row["pair_precision"] >= MIN_PRECISION]
        return max(safe, key=lambda row: (row["pair_recall"], -row["threshold"]), default=None)
