"""The parts of `scale.py`, each run in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIGNAL, THRESHOLD = "phash", 0.5
"""What the groups are made with: one signal alone never reaches the threshold of the whole profile."""
FILES_A_FOLDER = 1000


class Stages:
    """Wall and CPU seconds by stage; CPU of all threads and of children that have ended."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), _cpu_s()
        yield
        self.wall_s[name] = round(time.perf_counter() - wall, 3)
        self.cpu_s[name] = round(_cpu_s() - cpu, 3)

    def row(self) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "peak_mb": round(peak / 1024)}


def _cpu_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def run(call: dict[str, Any]) -> dict[str, Any]:
    """Measure one part at one size; `call` names it and its arguments."""
    parts = {"join": join, "groups": groups, "add": add, "warm": warm}
    return parts[call["part"]](**{name: value for name, value in call.items() if name != "part"})


def join(n: int, backend: str, radius_bits: int, seed: int) -> dict[str, Any]:
    """All pairs of 64-bit hashes within a radius, then groups of them: what the search alone costs."""
    import numpy as np
    from synthetic import plain_hashes

    from cvsim.candidates.hamming import join_pairs_within
    from cvsim.groups.components import connected_components

    clock = Stages()
    hashes, true = plain_hashes(n, radius_bits, seed)
    join_pairs_within(hashes[:1000], 0, backend=backend)  # type: ignore[arg-type]  # loads what is compiled
    with clock.stage("candidates"):
        found = join_pairs_within(hashes, radius_bits, backend=backend)  # type: ignore[arg-type]
    star_a, star_b = found.stars()
    a, b = np.concatenate([found.a, star_a]), np.concatenate([found.b, star_b])
    with clock.stage("components"):
        connected_components(n, a, b, np.ones(len(a)), 1.0)
    checksum = hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest()[:16]
    same = true[a] == true[b]
    return {
        **clock.row(),
        "n_pairs": len(a),
        "pairs_checksum": checksum,
        "planted_recall": planted_recall(a[same], b[same], true),
    }


def groups(n: int, seed: int) -> dict[str, Any]:
    """Candidates, scores and groups of images with a hash in any orientation, as `dedupe` makes them.

    Without proofs: there are no files.
    """
    from synthetic import make_collection

    from cvsim.groups.rules import GroupRules
    from cvsim.progress import Clock
    from cvsim.reading.collection import Collection
    from cvsim.reading.nodes import make_nodes
    from cvsim.recipes.linking import Linker, link
    from cvsim.recipes.report_groups import draft_groups
    from cvsim.recipes.scoring_plan import scoring_plan
    from cvsim.settings import Settings
    from cvsim.stores import Extraction, MemoryStore

    collection = make_collection(n, seed)
    settings = Settings(signals=(SIGNAL,), effort="fast", threshold=THRESHOLD, cache=None)
    plan = scoring_plan(settings)
    (feature,) = plan.features
    store = MemoryStore()
    digests = [digest_of(k) for k in range(n)]
    for digest, data in zip(digests, collection.descriptors(), strict=True):
        store.put(Extraction(digest, artefacts={feature.key: data}))
    store.flush()
    records = [record_of(k, digest) for k, digest in enumerate(digests)]
    nodes = make_nodes(records)
    stages, clock = Stages(), Clock()
    with stages.stage("all"):
        linker = Linker(Collection(nodes, plan.features, store), plan)
        clock.mark("pack")
        link(linker)
        clock.mark("link")
        made = draft_groups(linker, GroupRules(plan.threshold))
        clock.mark("explain")
    members = [[int(record.path[:-4]) for record in draft.choice.records] for draft in made]
    return {
        **stages.row(),
        "wall_s": {name: round(seconds, 3) for name, seconds in clock.seconds.items()},
        "n_scored": len(linker.scores),
        "n_groups": len(members),
        **agreement(members, collection.true),
    }


def digest_of(k: int) -> str:
    """A content digest like any other."""
    return hashlib.sha256(str(k).encode()).hexdigest()


def record_of(k: int, digest: str) -> Any:
    from cvsim.types import ImageRecord

    return ImageRecord(f"{k:08}.jpg", digest, 4000, 3000, 1_000_000 + k, k)


def agreement(members: Sequence[Sequence[int]], true: Any) -> dict[str, float]:
    """Of the pairs that groups make, how many were planted, and how many of those were found."""
    import numpy as np

    from cvsim.groups.evaluation import evaluate

    labels = np.arange(len(true)) + len(members)
    for label, group in enumerate(members):
        labels[group] = label
    figures = evaluate(labels, true).document()
    return {"pair_precision": figures["pair_precision"], "planted_recall": figures["pair_recall"]}


def add(n: int, seed: int, n_new: int = 1000) -> dict[str, Any]:
    """Find the copies of new images among `n` that are known, by the exact search that all of them took."""
    import numpy as np
    from synthetic import make_collection

    from cvsim.candidates.hamming import join_within
    from cvsim.features import make_features

    (feature,) = make_features([SIGNAL])
    collection = make_collection(n + n_new, seed)
    keys = feature.hash_keys(feature.pack([feature.from_bytes(data) for data in collection.descriptors()]))
    assert keys is not None
    stages = Stages()
    with stages.stage("candidates"):
        i, j = join_within(keys.variants[n:].reshape(-1), keys.stored[:n], feature.radius_bits)
    new, known = np.unique(np.stack([n + i // keys.variants.shape[1], j]), axis=1)
    counts = np.bincount(collection.true[:n], minlength=int(collection.true.max()) + 1)
    n_found = int((collection.true[new] == collection.true[known]).sum())
    recall = n_found / max(1, int(counts[collection.true[n:]].sum()))
    return {**stages.row(), "n_new": n_new, "n_pairs": len(new), "planted_recall": recall}


def warm(n: int, seed: int) -> dict[str, Any]:
    """A run over `n` files of which the cache knows everything; the files hold nothing worth reading."""
    from processes import measure

    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name, "photos"), Path(name, "cache.sqlite")
        fill(folder, cache, n, seed)
        common = [str(folder), "--effort", "fast", "--cache", str(cache)]
        here = Path(__file__).parent
        stats = json.loads(measure([sys.executable, str(here / "run_stats.py"), *common]).stdout)
        cost = measure([sys.executable, "-m", "cvsim", "dedupe", *common, "--json"])
    report = json.loads(cost.stdout)
    return {
        "wall_s": {k: round(s, 3) for k, s in stats["stats"]["seconds"].items()} | {"process": cost.wall_s},
        "cpu_s": {"process": cost.cpu_s},
        "peak_mb": round(cost.peak_mb),
        "n_decoded": stats["stats"]["n_decoded"],
        "n_read": stats["stats"]["n_read"],
        "n_groups": report["counts"]["groups"],
        "n_json_bytes": len(cost.stdout),
    }


def fill(folder: Path, cache: Path, n: int, seed: int) -> None:
    """Files of one byte each, and a cache that takes them for pictures."""
    import numpy as np
    from synthetic import make_collection

    from cvsim.reading.extraction import DECODER
    from cvsim.recipes.scoring_plan import scoring_plan
    from cvsim.settings import Settings
    from cvsim.stores import Extraction, ImageInfo, KnownFile, open_cache

    collection, rng = make_collection(n, seed), np.random.default_rng(seed)
    features = {feature.name: feature for feature in scoring_plan(Settings(effort="fast")).features}
    n_groups = int(collection.true.max()) + 1
    tiles = rng.integers(0, 256, (n_groups, 32, 32), dtype=np.uint8)
    colors = rng.integers(0, 256, (n_groups, 588), dtype=np.uint8)
    levels = rng.integers(0, 256, (n_groups, 32, 32, 3), dtype=np.uint8)
    with open_cache(cache) as store:
        for k, (data, group) in enumerate(zip(collection.descriptors(), collection.true, strict=True)):
            path = folder / f"{k // FILES_A_FOLDER:04}" / f"{k:08}.jpg"
            if k % FILES_A_FOLDER == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"x")
            artefacts = {
                features["phash"].key: data,
                features["tiles"].key: tiles[group].tobytes(),
                features["color"].key: colors[group].tobytes(),
                features["levels"].key: levels[group].tobytes(),
            }
            image = ImageInfo(4000, 3000, "jpeg")
            store.put(Extraction(digest_of(k), decoder=DECODER, image=image, artefacts=artefacts))
            store.put_file(os.fsencode(path), KnownFile.of(path.stat(), digest_of(k)))


def planted_recall(a: Any, b: Any, true: Any) -> float:
    """Share of the planted pairs that the pairs, all of them planted, connect directly or by others."""
    import numpy as np

    from cvsim.groups.components import connected_components

    found = connected_components(len(true), a, b, np.ones(len(a)), 1.0)
    n_found = int((found.sizes * (found.sizes - 1) // 2).sum())
    sizes = np.bincount(true)
    return n_found / max(1, int((sizes * (sizes - 1) // 2).sum()))
