"""Proofs for files that would be proposed for removal: made once a pair, on all cores, kept by digests."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import CvsimError, DecodeError, ImageError
from cvsim.executors.base import Demand
from cvsim.executors.fork_server import can_have_children
from cvsim.executors.own_process import give_back_memory
from cvsim.features.ground import ground_of
from cvsim.images.coded import CodedIdentities
from cvsim.images.decode import Decoded
from cvsim.images.encoded import Content, read_content
from cvsim.images.holdings import read_icc
from cvsim.proof.enlarged import MORE_PIXELS, shows_no_more
from cvsim.proof.explained import explain
from cvsim.proof.frames import BLACK_GROUND, WHITE_GROUND, ShownPicture, all_shown, as_srgb, everything_digest
from cvsim.proof.grids import find_orientation
from cvsim.proof.history import was_made_from, was_once_coarse
from cvsim.proof.holds import counted, is_plain, lacking
from cvsim.proof.picture import ProofPicture, proof_picture
from cvsim.types import Holdings, ImageRecord, Proof

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.executors.local import LocalExecutor
    from cvsim.progress import Progress
    from cvsim.stores import Store
    from cvsim.types import RGB

PROOF_VERSION = 12
"""Changes whenever a pair may be judged otherwise."""
PROOFS_KEY = f"proofs:{PROOF_VERSION}"
MOST_PIXELS = 250_000_000
_COPIES_AT_ONCE = 4
_BYTES_AT_ONCE = 64 << 20
_LONGEST_S, _LONGEST_S_PER_MEGAPIXEL = 120.0, 2.0
_WORTH_CHILDREN = 12
"""Proofs from which they are made in child processes: as threads of one process they hold each other up, by
the interpreter's lock, and two cores do the work of one and a third. Starting them takes as long as ten
proofs of half a megapixel."""
_MIRRORED = frozenset((1, 2, 4, 7))
_LEAST_BEGINNING_BYTES = 64
_PROOF_BYTES_PER_PIXEL = 12
"""Of a proof, beside decoding: both pictures, one of them on the other's grid, and a few planes of a tile."""
_MORE_PIXELS = 1.05
"""Times the other one's; less is a border or a rounding."""
SAME_BYTES = Proof("same-bytes")
_SAME_PIXELS = Proof("same-pixels")
_END_BYTES = 4096

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file and the digest that it had when it was read."""

    path: str
    digest: str
    size_bytes: int = 0


def file_ref(record: ImageRecord) -> FileRef:
    """The file of a record."""
    return FileRef(record.path, record.digest, record.size_bytes)


@dataclass(frozen=True, slots=True)
class Claim:
    """That each of these copies can go while one file is kept."""

    kept: FileRef
    copies: tuple[FileRef, ...]


def prove(
    pairs: Iterable[tuple[FileRef, FileRef]],
    holdings: Mapping[str, Holdings],
    store: Store,
    executor: LocalExecutor,
    *,
    codes: Mapping[str, bytes | None] | None = None,
    progress: Progress | None = None,
) -> dict[tuple[str, str], Proof]:
    """The proof of each pair, by the digests of copy and kept file.

    Parameters
    ----------
    pairs : iterable of (FileRef, FileRef)
        Copy and kept file, of different bytes.
    holdings : mapping of str to Holdings
        Of these files, by digest; about one that is left out nothing is proved.
    store : Store
        Remembers what was proved.
    executor : LocalExecutor
    codes : mapping of str to bytes, optional
        What decides about the pixels of files, by digest, as far as it is known (see `cvsim.images.coded`):
        files of equal code need not be read again.
    progress : Progress, optional
    """
    asked = {(copy.digest, kept.digest): (copy, kept) for copy, kept in pairs}
    found = _known(store, asked)
    for key in asked:
        if not holdings.keys() >= set(key):
            found[key] = Proof("not-tried", words="it cannot be read any more")
    known = {
        key: proof
        for key, (copy, kept) in asked.items()
        if key not in found and (proof := _known_without_reading(copy, kept, holdings, codes or {}))
    }
    store.put_pairs(PROOFS_KEY, {key: _to_bytes(proof) for key, proof in known.items()})
    found |= known
    todo = [pair for key, pair in asked.items() if key not in found]
    claims = list(_claims(todo))
    if claims:
        give_back_memory()
    advance = progress.task("Proving copies", len(todo)) if progress is not None and todo else None
    is_worth_it = executor.n_workers > 1 and len(todo) >= _WORTH_CHILDREN
    job = ProofJob(holdings, in_children=is_worth_it and can_have_children())
    with advance or nullcontext(lambda n: None) as step:
        found |= _made(executor, job, claims, store, step)
    return found


def _made(
    executor: LocalExecutor,
    job: ProofJob,
    claims: Sequence[Claim],
    store: Store,
    advance: Callable[[int], None],
) -> dict[tuple[str, str], Proof]:
    found = {}
    for claim, outcome in executor.map(job, claims, timeout_s=_LONGEST_S):
        if isinstance(outcome, CvsimError):
            outcome = (Proof("not-tried", words=str(outcome)),) * len(claim.copies)
        for copy, proof in zip(claim.copies, outcome, strict=True):
            found[copy.digest, claim.kept.digest] = proof
        tried = {
            (copy.digest, claim.kept.digest): _to_bytes(proof)
            for copy, proof in zip(claim.copies, outcome, strict=True)
            if proof.state != "not-tried"
        }
        store.put_pairs(PROOFS_KEY, tried)
        advance(len(claim.copies))
    return found


def _known(store: Store, asked: Mapping[tuple[str, str], Any]) -> dict[tuple[str, str], Proof]:
    if not asked:
        return {}
    known = store.pairs(PROOFS_KEY, {digest for pair in asked for digest in pair})
    return {pair: _from_bytes(known[pair]) for pair in asked if pair in known}


def _claims(pairs: Iterable[tuple[FileRef, FileRef]]) -> Iterable[Claim]:
    """A few copies of one kept file at a time: it is decoded once for them, and all cores have work."""
    by_kept: dict[FileRef, list[FileRef]] = defaultdict(list)
    for copy, kept in pairs:
        by_kept[kept].append(copy)
    for kept, copies in by_kept.items():
        held: list[FileRef] = []
        for copy in copies:
            n_bytes = sum(one.size_bytes for one in held)
            if held and (len(held) >= _COPIES_AT_ONCE or n_bytes + copy.size_bytes > _BYTES_AT_ONCE):
                yield Claim(kept, tuple(held))
                held = []
            held.append(copy)
        yield Claim(kept, tuple(held))


def _to_bytes(proof: Proof) -> bytes:
    found = [proof.state, proof.boxes, proof.words, proof.is_mirrored, proof.shows_as_much]
    return json.dumps(found).encode()


def _from_bytes(data: bytes) -> Proof:
    state, boxes, words, is_mirrored, shows_as_much = json.loads(data)
    return Proof(state, tuple(tuple(box) for box in boxes), words, is_mirrored, shows_as_much)


@dataclass
class File:
    """A file of a claim, read; decoded when that is asked for, once."""

    content: Content
    holdings: Holdings

    @cached_property
    def data(self) -> bytes:
        """All of its bytes; a large file is read for it, and is still the one that was looked at."""
        if self.content.data is not None:
            return self.content.data
        with self.content.open() as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != self.content.digest:
            raise DecodeError("it has changed since it was looked at")
        return data

    @property
    def n_bytes_to_read(self) -> int:
        """What is not in memory yet."""
        try:
            return 0 if self.content.data is not None else os.stat(self.content.path).st_size
        except OSError:
            return 0

    @property
    def n_pixels(self) -> int:
        """As its header claims; 0 if that is not known."""
        width_px, height_px = self.content.claimed_size or (0, 0)
        return width_px * height_px

    @cached_property
    def picture(self) -> ProofPicture:
        """The first picture, as it is decoded for everything else."""
        return proof_picture(self.data, rgb=self.decoded.rgb, format=self.content.format)

    @cached_property
    def decoded(self) -> Decoded:
        """The first picture at full size."""
        return self.content.decode(longest_px=2**31, max_pixels=MOST_PIXELS)

    @cached_property
    def code(self) -> Any:
        """What the pixels are decoded from (see `cvsim.images.coded`); None where that is not known."""
        if self.content.data is None:
            return None  # of a large file nothing is read before it is decoded in a process of its own
        try:
            return CodedIdentities().of(self.data, self.content.format)
        except DecodeError:
            return None

    @cached_property
    def was_once_coarse(self) -> bool:
        """See `cvsim.proof.history.was_once_coarse`."""
        return was_once_coarse(self.picture)

    @cached_property
    def everything(self) -> bytes:
        """See `cvsim.proof.frames.everything_digest`."""
        return everything_digest(self.data, self.content.format, self.holdings)

    def forget(self) -> None:
        """Let go of what was decoded; it is decoded again if it is asked for."""
        for name in ("picture", "decoded", "data"):
            self.__dict__.pop(name, None)

    def shown(self) -> list[ShownPicture]:
        """See `cvsim.proof.frames.all_shown`."""
        return list(all_shown(self.data, self.content.format, self.holdings))


class ProofJob:
    """The proofs of one claim, for an executor.

    Parameters
    ----------
    holdings : mapping of str to Holdings
        By digest.
    in_children : bool
        Make them in child processes, whether or not a decoder asks for one.
    """

    def __init__(self, holdings: Mapping[str, Holdings], *, in_children: bool = False) -> None:
        self._holdings, self._in_children = holdings, in_children

    def __getstate__(self) -> dict[str, Any]:
        return {"_holdings": {}}

    @staticmethod
    def prepare() -> None:
        """Leave nothing to be done: children may be forked from the process that has imported this."""

    def load(self, item: Claim) -> tuple[File, tuple[File | Proof, ...]]:
        """Read the kept file and the copies, or what is known of a copy before anything is decoded."""
        kept = self._file(item.kept)
        return kept, tuple(self._file_or_proof(copy, kept) for copy in item.copies)

    def _file(self, ref: FileRef) -> File:
        return File(read_content(ref.path, ref.digest), self._holdings[ref.digest])

    def _file_or_proof(self, ref: FileRef, kept: File) -> File | Proof:
        try:
            copy = self._file(ref)
        except ImageError as exc:
            return Proof("not-tried", words=str(exc))
        return proof_by_bytes(copy, kept) or copy

    def demand(self, payload: tuple[File, tuple[File | Proof, ...]]) -> Demand:
        """Ask for a child process if any decoder needs one, and for the memory of the largest pair."""
        kept, copies = payload
        left = [copy for copy in copies if isinstance(copy, File)]
        if not left:
            return Demand()
        files = [kept, *left]
        memory = sum(
            max(
                file.content.full_memory_bytes + file.n_bytes_to_read + _PROOF_BYTES_PER_PIXEL * file.n_pixels
                for file in some
            )
            for some in ([kept], left)
        )
        is_risky = any(file.content.is_risky or file.content.data is None for file in files)
        extra_s = _LONGEST_S_PER_MEGAPIXEL * sum(file.n_pixels for file in files) / 1e6
        return Demand(self._in_children or is_risky, memory, extra_s)

    def run(self, payload: tuple[File, tuple[File | Proof, ...]]) -> tuple[Proof, ...]:
        """One proof a copy, in their order."""
        kept, copies = payload
        found = []
        for copy in copies:
            if isinstance(copy, Proof):
                found.append(copy)
            else:
                found.append(proof_by_pixels(copy, kept))
                copy.forget()
        kept.forget()
        return tuple(found)


def prove_pair(copy: File, kept: File) -> Proof:
    """Whether `copy` can go while `kept` stays; what costs least is asked first."""
    return proof_by_bytes(copy, kept) or proof_by_pixels(copy, kept)


def proof_by_bytes(copy: File, kept: File) -> Proof | None:
    """What is proved by what the files hold and by their bytes, without decoding; None if nothing is."""
    missing = lacking(kept.holdings, copy.holdings)
    if lacking(copy.holdings, kept.holdings) and copy.n_pixels > _MORE_PIXELS * kept.n_pixels:
        missing.append("more pixels")  # each of the two has something of its own
    if missing:
        return Proof("holds-more", words=counted(missing))
    if _is_beginning(copy, kept):
        return Proof("explained", words="a cut-off copy: all its bytes are the kept file's first ones")
    return _SAME_PIXELS if _has_same_code(copy, kept) else None


def proof_by_pixels(copy: File, kept: File) -> Proof:
    """What is proved by what the files show."""
    try:
        if is_plain(copy.holdings) and is_plain(kept.holdings):
            return _prove_plain(copy, kept)
        return _prove_everything(copy, kept)
    except CvsimError as exc:
        return Proof("not-tried", words=str(exc))
    except MemoryError:
        return Proof("not-tried", words="it needs more memory than there is")


def _is_beginning(copy: File, kept: File) -> bool:
    """Whether the copy is the kept file cut off, or cut off and filled up with zeros."""
    if copy.content.data is None or kept.content.data is None:
        return False
    beginning = copy.content.data.rstrip(b"\0")
    return len(beginning) >= _LEAST_BEGINNING_BYTES and kept.content.data.startswith(beginning)


def _known_without_reading(
    copy: FileRef, kept: FileRef, holdings: Mapping[str, Holdings], codes: Mapping[str, bytes | None]
) -> Proof | None:
    """What `proof_by_bytes` would find, where what is known of the files tells; None where it does not."""
    code = codes.get(copy.digest)
    has_same_code = code is not None and code == codes.get(kept.digest)
    ours, theirs = holdings[copy.digest], holdings[kept.digest]
    if missing := lacking(theirs, ours):
        has_no_more_pixels = has_same_code or not lacking(ours, theirs)
        return Proof("holds-more", words=counted(missing)) if has_no_more_pixels else None
    is_same = has_same_code and ours.profile_key == theirs.profile_key
    return _SAME_PIXELS if is_same and not _may_be_beginning(copy, kept) else None


def _may_be_beginning(copy: FileRef, kept: FileRef) -> bool:
    """Whether a copy's first bytes, and its last but for zeros, are the kept file's at their place."""
    try:
        with open(copy.path, "rb") as ours, open(kept.path, "rb") as theirs:
            for at in (0, max(0, os.fstat(ours.fileno()).st_size - _END_BYTES)):
                ours.seek(at)
                theirs.seek(at)
                some = ours.read(_END_BYTES).rstrip(b"\0")
                if theirs.read(len(some)) != some:
                    return False
            return True
    except OSError:
        return True  # which is found out, and said, where the files are read


def _has_same_code(copy: File, kept: File) -> bool:
    """Whether two files differ in metadata alone."""
    if copy.content.format != kept.content.format or not _mean_the_same(copy, kept):
        return False
    return copy.code is not None and copy.code == kept.code


def _mean_the_same(copy: File, kept: File) -> bool:
    return copy.holdings.profile_key == kept.holdings.profile_key


def _prove_plain(copy: File, kept: File) -> Proof:
    shown, source = copy.picture, kept.picture
    if copy.decoded.damaged:
        shown, source = _undamaged(shown, source)
    if not _mean_the_same(copy, kept):
        source = ProofPicture(_in_srgb(source.rgb, kept), source.format)
    is_same = _mean_the_same(copy, kept) and is_plain(kept.holdings) and not copy.decoded.damaged
    proof = _explained(shown, source, is_same=is_same)
    if proof.state == "explained" and kept.was_once_coarse and not copy.was_once_coarse:
        return Proof("poorer-kept", words="the kept file was once compressed far more than it is now")
    return proof


def _explained(copy: ProofPicture, kept: ProofPicture, *, is_same: bool = True) -> Proof:
    orientation = find_orientation(kept.rgb, copy.rgb)
    found = explain(copy, kept, orientations=None if orientation is None else (orientation,))
    # Equal values under two profiles are no equal pixels, and neither are two alphas laid on one ground.
    state = "explained" if found.state == "same-pixels" and not is_same else found.state
    if state != "explained" or orientation is None:
        return Proof(state, found.boxes)
    if was_made_from(kept, copy, orientation):
        return Proof("poorer-kept", words="the kept file was made from this one, and encoded again")
    is_mirrored = orientation in _MIRRORED
    return Proof(state, is_mirrored=is_mirrored, shows_as_much=_show_as_much(copy, kept, orientation))


def _show_as_much(copy: ProofPicture, kept: ProofPicture, orientation: int) -> bool:
    """Of a copy that is explained: whether one has more pixels, and shows no more than the other one."""
    n_copy, n_kept = (picture.rgb.shape[0] * picture.rgb.shape[1] for picture in (copy, kept))
    if n_kept > MORE_PIXELS * n_copy:
        return shows_no_more(kept, copy, orientation)
    return bool(n_copy > MORE_PIXELS * n_kept)


def _in_srgb(rgb: RGB, file: File) -> RGB:
    if not file.holdings.profile_key:
        return rgb
    icc = read_icc(file.data, file.content.format)
    if not icc:
        raise DecodeError(f"the kept file's colours ({file.holdings.profile}) cannot be compared")
    return as_srgb(rgb, icc)


def _undamaged(copy: ProofPicture, kept: ProofPicture) -> tuple[ProofPicture, ProofPicture]:
    """What could be decoded of a damaged copy, and the same part of the kept picture."""
    rows, columns = _decoded_part(copy.rgb)
    height, width = copy.rgb.shape[:2]
    tall, wide = kept.rgb.shape[:2]
    if (height > width) != (tall > wide):
        raise DecodeError("a damaged copy that is turned")
    part = np.ascontiguousarray(copy.rgb[rows, columns])
    same = kept.rgb[
        round(rows.start * tall / height) : round(rows.stop * tall / height),
        round(columns.start * wide / width) : round(columns.stop * wide / width),
    ]
    coding = copy.jpeg if rows.start == columns.start == 0 else None
    return ProofPicture(part, copy.format, coding), ProofPicture(np.ascontiguousarray(same), kept.format)


def _decoded_part(rgb: RGB) -> tuple[slice, slice]:
    """Rows and columns without the flat strip at one side that a decoder leaves where the data end."""
    rows, columns = [0, rgb.shape[0]], [0, rgb.shape[1]]
    margin = 16
    for axis, ends in ((0, rows), (1, columns)):
        lines = rgb if axis == 0 else rgb.swapaxes(0, 1)
        is_flat = (lines == lines[:, :1]).all((1, 2))
        for side, (line, step) in enumerate(((0, 1), (len(lines) - 1, -1))):
            fill, at = lines[line, 0], line
            while 0 <= at < len(lines) and is_flat[at] and (lines[at, 0] == fill).all():
                at += step
            n_flat = abs(at - line)
            if margin <= n_flat < len(lines) - 2 * margin:
                ends[side] = n_flat + margin if side == 0 else len(lines) - n_flat - margin
    return slice(*rows), slice(*columns)


def _prove_everything(copy: File, kept: File) -> Proof:
    """Files of several pictures, of transparency, of more than 8 bits."""
    if copy.holdings.bits > 8:
        if copy.everything == kept.everything:
            return Proof("same-pixels")
        return Proof("holds-more", words=f"{copy.holdings.bits} bits a sample, other ones")
    if is_plain(copy.holdings) and kept.holdings.alpha:
        return _prove_flat(copy, kept)
    if is_plain(copy.holdings):
        return _prove_plain(copy, kept)
    is_same = _mean_the_same(copy, kept) and kept.holdings.bits <= 8
    shown, source = copy.shown(), kept.shown()
    if is_same and len(shown) == len(source) and copy.everything == kept.everything:
        return Proof("same-pixels")
    return _prove_each(copy, kept, shown, source)


def _prove_flat(copy: File, kept: File) -> Proof:
    """A picture without transparency, from one that has it and was laid on some ground: perhaps its own."""
    source, own = kept.shown()[0], ground_of(copy.picture.rgb)
    grounds: list[int | NDArray[Any]] = [WHITE_GROUND, BLACK_GROUND, *([] if own is None else [np.rint(own)])]
    proofs = (
        _explained(copy.picture, ProofPicture(_in_srgb(source.on(ground), kept), "png"), is_same=False)
        for ground in grounds
    )
    first = next(proofs)
    return first if first.is_enough else next((proof for proof in proofs if proof.is_enough), first)


def _prove_each(
    copy: File, kept: File, shown: Sequence[ShownPicture], source: Sequence[ShownPicture]
) -> Proof:
    """Each picture by the one in its place, on both grounds if it is transparent; one failure is enough."""
    if len(shown) > len(source):
        return Proof("holds-more", words=f"{len(shown)} pictures")
    proof = Proof("explained")
    for one, other in zip(shown, source, strict=False):
        is_opaque = one.alpha is None and other.alpha is None
        for ground in (WHITE_GROUND,) if is_opaque else (WHITE_GROUND, BLACK_GROUND):
            target = proof_picture(copy.data, rgb=one.on(ground), format="png")
            found = _explained(target, ProofPicture(_in_srgb(other.on(ground), kept), "png"), is_same=False)
            if not found.is_enough:
                return found
            proof = found
    return proof
