#!/usr/bin/env python3
"""Other tools that find copies, each behind one small adapter. Never a dependency of cvsim.

    python benchmarks/peers.py list                               what is installed here, as JSON
    python benchmarks/peers.py link SETS -o FOLDER PEER...        describe and link the files of some sets
    python benchmarks/peers.py dedupe PEER FOLDER --threshold T   the whole job, as a user would run it

Runs under any Python that holds the peers (`--peers-python` of the other benchmarks) and needs numpy and
scipy beside them. A peer that has no rule for groups gets connected components over its pair rule. All
thresholds at once follow from single linkage: cut at a threshold, its tree gives those components.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core: more threads would only contend

UNREADABLE = 1e6
"""Distance of a file that the peer could not read: beyond any threshold."""

Describe = Callable[[str], Any]
"""Path to a descriptor: (n_variants, n_bits) of 0 and 1, the picture as it is first; or (n_dims,)."""


@dataclass(frozen=True)
class Peer:
    """One tool under one of its settings.

    Attributes
    ----------
    name : str
    package : str
        The distribution whose version is reported.
    make : callable
        Imports the tool and returns what describes one file.
    metric : str
        ``"hamming"``, in bits, or ``"normalized"``, the length of a difference over the sum of lengths.
    thresholds : tuple of float
        Every distance that is tried.
    usual : float
        The tool's own default, or what its documentation advises.
    is_hash : bool
        It uses hashes of the whole picture alone.
    """

    name: str
    package: str
    make: Callable[[], Describe]
    metric: str
    thresholds: tuple[float, ...]
    usual: float
    is_hash: bool = True


def _imagehash(kind: str) -> Callable[[], Describe]:
    def make() -> Describe:
        import imagehash
        from PIL import Image

        hash_of = getattr(imagehash, kind)

        def describe(path: str) -> Any:
            with Image.open(path) as image:
                return hash_of(image).hash.reshape(1, -1)

        return describe

    return make


def _imagededup(kind: str) -> Callable[[], Describe]:
    def make() -> Describe:
        _without_torch("imagededup", ("methods", "utils"))
        from imagededup.methods import hashing

        hasher = getattr(hashing, kind)(verbose=False)
        return lambda path: _bits_of_bytes(bytes.fromhex(hasher.encode_image(path)))

    return make


def _without_torch(package: str, parts: Sequence[str]) -> None:
    """Let submodules be imported without their packages' ``__init__``, which pulls torch in for the CNN."""
    from importlib.util import find_spec
    from types import ModuleType

    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{package} is not installed")
    for part in parts:
        module = ModuleType(f"{package}.{part}")
        module.__path__ = [str(Path(spec.submodule_search_locations[0], part))]
        sys.modules[module.__name__] = module


def _pdq() -> Describe:
    import pdqhash

    read = _read_with_opencv()
    return lambda path: pdqhash.compute(read(path))[0].reshape(1, -1)


def _perception() -> Describe:
    import numpy as np
    from perception import hashers

    hasher = hashers.PHash(hash_size=16)

    def describe(path: str) -> Any:
        turned = hasher.compute_isometric(path)
        return np.stack([hasher.string_to_vector(turned[k]) for k in sorted(turned, key=lambda k: k != "r0")])

    return describe


def _image_match() -> Describe:
    from image_match.goldberg import ImageSignature

    signature, read = ImageSignature(), _read_with_opencv()
    return lambda path: signature.generate_signature(read(path))


def _czkawka() -> Describe:
    import base64

    from czkawka import ImageSimilarity

    finder = ImageSimilarity()

    def describe(path: str) -> Any:
        text = finder.hash_image(Path(path))
        return _bits_of_bytes(base64.b64decode(text + "=" * (-len(text) % 4)))

    return describe


def _bits_of_bytes(data: bytes) -> Any:
    import numpy as np

    return np.unpackbits(np.frombuffer(data, np.uint8)).reshape(1, -1)


def _read_with_opencv() -> Describe:
    import cv2

    cv2.setNumThreads(1)

    def read(path: str) -> Any:
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{path} cannot be decoded")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    return read


_BITS_64 = tuple(float(t) for t in range(33))
_BITS_256 = tuple(float(t) for t in range(129))
_SHARES = tuple(t / 100 for t in range(71))
PEERS = {
    peer.name: peer
    for peer in (
        *(
            Peer(f"imagehash {kind}", "imagehash", _imagehash(kind), "hamming", _BITS_64, 8)
            for kind in ("phash", "dhash", "average_hash", "whash")
        ),
        *(
            Peer(f"imagededup {kind}", "imagededup", _imagededup(kind), "hamming", _BITS_64, 10)
            for kind in ("PHash", "DHash", "AHash", "WHash")
        ),
        Peer("pdqhash", "pdqhash", _pdq, "hamming", _BITS_256, 31),
        Peer("perception PHash 16 isometric", "perception", _perception, "hamming", _BITS_256, 51),
        Peer("image-match", "image_match", _image_match, "normalized", _SHARES, 0.45, False),
        Peer("czkawka", "czkawka", _czkawka, "hamming", _BITS_64, 10),
    )
}


def availability() -> dict[str, dict[str, Any]]:
    """Of every peer: its version, or why it cannot be used here."""
    found = {}
    for peer in PEERS.values():
        entry: dict[str, Any] = {"thresholds": peer.thresholds, "usual": peer.usual, "is_hash": peer.is_hash}
        try:
            peer.make()
            entry["version"] = metadata.version(peer.package)
        except Exception as exc:
            entry["absent"] = f"{type(exc).__name__}: {exc}"
        found[peer.name] = entry
    return found


_describe: Describe


def _describe_or_none(path: str) -> Any:
    try:
        return _describe(path)
    except Exception:
        return None  # counted, and alone in its group


def describe_all(peer: Peer, paths: Sequence[str]) -> list[Any]:
    """Descriptors in the order of paths, in one process a core; None for what the peer cannot read."""
    global _describe
    _describe = peer.make()  # before the fork, so that the tool is imported once
    n_processes = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(n_processes, mp_context=get_context("fork")) as pool:
        return list(pool.map(_describe_or_none, paths, chunksize=8))


def pair_distances(peer: Peer, described: Sequence[Any]) -> Any:
    """Distances of all pairs, (n * (n - 1) / 2,) float32, in scipy's condensed order."""
    import numpy as np
    from scipy.spatial.distance import squareform

    readable = [k for k, one in enumerate(described) if one is not None]
    distance = np.full((len(described), len(described)), UNREADABLE, np.float32)
    if readable:
        stacked = np.stack([described[k] for k in readable]).astype(np.float32)
        between = _hamming(stacked) if peer.metric == "hamming" else _normalized(stacked)
        distance[np.ix_(readable, readable)] = np.minimum(between, between.T)
    np.fill_diagonal(distance, 0)
    return squareform(distance, checks=False)


def _hamming(bits: Any) -> Any:
    """Of each picture as it is to any variant of each other: (n, v, d) of 0 and 1 -> (n, n)."""
    import numpy as np

    signs = 2 * bits - 1
    own = signs[:, 0]
    nearest = np.full((len(own), len(own)), np.inf, np.float32)
    for k in range(signs.shape[1]):
        np.minimum(nearest, (own.shape[1] - own @ signs[:, k].T) / 2, out=nearest)
    return np.rint(nearest)


def _normalized(vectors: Any) -> Any:
    """|a - b| / (|a| + |b|), (n, d) -> (n, n); two blank pictures are no pair."""
    import numpy as np

    squares = (vectors**2).sum(axis=1)
    length = np.sqrt(squares)
    difference = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * vectors @ vectors.T, 0))
    total = length[:, None] + length[None, :]
    return np.divide(difference, total, out=np.ones_like(total), where=total > 0)


def link(peer: Peer, paths: Sequence[str], described: dict[str, Any]) -> dict[str, Any]:
    """The tree of single linkage over all pairs (scipy's ``Z``), and what describing the files cost.

    Parameters
    ----------
    described : dict
        By digest of a file's content: what is known from other sets, and is added to.
    """
    from scipy.cluster.hierarchy import linkage

    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
    new = {digest: path for digest, path in zip(digests, paths, strict=True) if digest not in described}
    wall, cpu = time.perf_counter(), _cpu_s()
    described.update(zip(new, describe_all(peer, list(new.values())), strict=True))
    cost = {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu_s() - cpu, "n_described": len(new)}
    own = [described[digest] for digest in digests]
    tree = linkage(pair_distances(peer, own), method="single")
    return {"tree": tree, "n_unreadable": sum(one is None for one in own), **cost}


def link_sets(peer: Peer, sets: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Keep what `link` finds of each set, a mapping of name to paths, as ``folder/<set>/<peer>.npz``.

    What two sets have in common is described once, and counted as a cost of the first.
    """
    import numpy as np

    described: dict[str, Any] = {}
    for name, paths in sets.items():
        found = link(peer, paths, described)
        file = folder / name / f"{peer.name.replace(' ', '-')}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            np.savez(stream, **found)
        unfinished.rename(file)


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def dedupe(peer: Peer, folder: Path, threshold: float) -> list[list[str]]:
    """Groups of the files of a folder: the tool's own grouping where it has one that scans a folder."""
    if peer.package == "czkawka":
        from czkawka import ImageSimilarity

        finder = ImageSimilarity()
        finder.set_directories([folder])
        finder.set_similarity(int(threshold))
        return [sorted(str(path) for path in group) for group in finder.find_similar()]
    from scipy.cluster.hierarchy import fcluster

    paths = sorted(str(path) for path in folder.iterdir() if path.is_file())
    groups: dict[int, list[str]] = {}
    for path, label in zip(
        paths, fcluster(link(peer, paths, {})["tree"], threshold, "distance"), strict=True
    ):
        groups.setdefault(int(label), []).append(path)
    return [group for group in groups.values() if len(group) > 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list")
    linking = actions.add_parser("link")
    linking.add_argument("sets", type=Path, metavar="SETS")
    linking.add_argument("-o", dest="out", type=Path, required=True, metavar="FOLDER")
    linking.add_argument("peers", nargs="+", choices=PEERS)
    deduping = actions.add_parser("dedupe")
    deduping.add_argument("peer", choices=PEERS)
    deduping.add_argument("folder", type=Path)
    deduping.add_argument("--threshold", type=float)
    args = parser.parse_args()
    if args.action == "list":
        print(json.dumps(availability(), indent=1))
    elif args.action == "link":
        sets = json.loads(args.sets.read_text(encoding="utf-8"))
        for name in args.peers:
            link_sets(PEERS[name], sets, args.out)
    else:
        threshold = PEERS[args.peer].usual if args.threshold is None else args.threshold
        print(json.dumps(dedupe(PEERS[args.peer], args.folder, threshold)))


if __name__ == "__main__":
    main()
