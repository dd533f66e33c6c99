"""Running the peers over labelled sets: every threshold, the safest good one, and what it gives elsewhere."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cvsim_runs import grouping_figures
from labelled_sets import LabelledSet
from scipy.cluster.hierarchy import fcluster

ADAPTERS = Path(__file__).with_name("peers.py")
MIN_PRECISION = 0.999
TIMEOUT_S = 1800.0


def available(python: str) -> dict[str, dict[str, Any]]:
    """Of each peer: its thresholds and version, or why it is absent."""
    run = subprocess.run([python, str(ADAPTERS), "list"], capture_output=True, text=True)
    if run.returncode:
        print(f"no peers: {python} failed: {run.stderr.strip()[-300:]}", file=sys.stderr)
        return {}
    found: dict[str, dict[str, Any]] = json.loads(run.stdout)
    return found


def link_all(python: str, peers: Iterable[str], sets: Sequence[LabelledSet], work: Path) -> Path:
    """Describe and link the sets, in this order, by each of the peers that did not do so yet.

    Returns
    -------
    Path
        The folder that keeps their links, by set.
    """
    paths = {data.name: [str(data.folder / name) for name in data.files] for data in sets}
    digest = hashlib.sha256("".join(data.fingerprint for data in sets).encode()).hexdigest()[:8]
    folder = work / "peers" / digest
    last = sets[-1].name
    missing = [peer for peer in peers if not _kept(folder, last, peer).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        listing = folder / "sets.json"
        listing.write_text(json.dumps(paths), encoding="utf-8")
    for peer in missing:
        command = [python, str(ADAPTERS), "link", str(listing), "-o", str(folder), peer]
        subprocess.run(command, check=True, timeout=TIMEOUT_S, stderr=subprocess.DEVNULL)
        print(f"{peer}: linked", file=sys.stderr)
    return folder


def _kept(folder: Path, set_name: str, peer: str) -> Path:
    return folder / set_name / f"{peer.replace(' ', '-')}.npz"


class PeerRun:
    """One peer's links of one set, to be cut at any threshold."""

    def __init__(self, folder: Path, peer: str, data: LabelledSet) -> None:
        self.data = data
        with np.load(_kept(folder, data.name, peer)) as found:
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
