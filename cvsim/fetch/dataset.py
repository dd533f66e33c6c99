"""Download a dataset's pictures: the list, whose turn it is, what came of it.

The requests are made by `cvsim.fetch.client`.

A run may be killed at any moment. A picture is written beside its place and renamed, so a file that is there
is whole; `MANIFEST_NAME` has a line for each URL that was settled. The next run starts from both.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, urlsplit

from cvsim.errors import CvsimError, FetchError, UsageError
from cvsim.fetch.client import Fetched, RemoteClient
from cvsim.files import JsonResult, read_table, replacing, write
from cvsim.names import path_cell, text_cell
from cvsim.progress import Progress, SilentProgress

MANIFEST_NAME = "fetch.jsonl"
LABELS_NAME = "labels.csv"
MAX_UNREACHABLE = 6
"""Times in a row that no connection to a host can be made, after which its other URLs are left for later."""
_MAX_NAME = 120
_SUFFIXES = {"jpeg": "jpg", "jpeg2000": "jp2"}
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to download.

    Attributes
    ----------
    id : str
        Unique in the list; names the file.
    urls : tuple of str
        Tried in order.
    labels : tuple of str
    """

    id: str
    urls: tuple[str, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What came of one picture: a line of the manifest.

    Attributes
    ----------
    id : str
    url : str
        That it came from, or that failed last.
    labels : tuple of str
    file : str or None
        Name in the folder; None if it could not be had.
    reason : str or None
        Why not, in words.
    retryable : bool
        Whether the next run should try again.
    digest : str or None
        SHA-256 of the file.
    size_bytes : int
    """

    id: str
    url: str
    labels: tuple[str, ...]
    file: str | None
    reason: str | None = None
    retryable: bool = False
    digest: str | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FetchResult(JsonResult):
    """What a run of `fetch` did.

    Attributes
    ----------
    n_wanted, n_fetched, n_known : int
        Pictures asked for; downloaded by this run; there from an earlier one.
    failed : tuple of FetchOutcome
        The pictures that could not be fetched, ordered by id.
    """

    n_wanted: int
    n_fetched: int
    n_known: int
    failed: tuple[FetchOutcome, ...]

    @property
    def reasons(self) -> Mapping[str, int]:
        """Reasons of failure, the most frequent first."""
        return dict(Counter(outcome.reason or "" for outcome in self.failed).most_common())

    def document(self) -> dict[str, Any]:
        """What ``cvsim fetch --json`` prints."""
        return {
            "wanted": self.n_wanted,
            "fetched": self.n_fetched,
            "known": self.n_known,
            "failed": [
                {"id": o.id, "url": o.url, "reason": o.reason, "retryable": o.retryable} for o in self.failed
            ],
        }


def read_dataset(path: str | os.PathLike[str], labels: Collection[str] = ()) -> list[Wanted]:
    """The pictures that a dataset's list names.

    Parameters
    ----------
    path : path
        JSON with ``images`` (``image_id``, ``url``: one or a list) and ``annotations`` (``image_id``,
        ``label_id``: one or a list), or CSV with a column ``url`` and, if it has them, ``image_id`` and
        ``label_id``.
    labels : collection of str
        Only pictures with one of these; all if empty.

    Raises
    ------
    UsageError
        The file cannot be read or is no such list, or none of its pictures has a wanted label.
    """
    file = Path(path)
    try:
        rows = _read_csv(file) if file.suffix.lower() in {".csv", ".tsv"} else _read_json(file)
    except OSError as exc:
        raise UsageError(f"{file}: cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise UsageError(
            f"{file}: no list of images: a JSON with images[].image_id and url, or a CSV with a column url, "
            f"is expected ({type(exc).__name__}: {exc})"
        ) from exc
    wanted = [row for row in rows if not labels or set(labels) & set(row.labels)]
    if not wanted:
        known = sorted({label for row in rows for label in row.labels})
        shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
        raise UsageError(f"{file}: no image has the label {', '.join(labels)}; there are: {shown or 'none'}")
    return wanted


def _read_json(file: Path) -> list[Wanted]:
    document = json.loads(file.read_text(encoding="utf-8-sig"))
    labels: dict[str, list[str]] = {}
    for row in document.get("annotations", ()):
        found = _values(_first(row, "label_id", "labelId", "category_id"))
        labels.setdefault(str(_first(row, "image_id", "imageId")), []).extend(found)
    return _merged(
        (str(_first(row, "image_id", "imageId", "id")), _values(_first(row, "url", "coco_url", "flickr_url")))
        for row in document["images"]
    )(labels)


def _read_csv(file: Path) -> list[Wanted]:
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    labels: dict[str, list[str]] = {}
    rows = []
    for _, row in read_table(file, delimiter=delimiter):
        url = _first(row, "url", "image_url")
        id = str(_first(row, "image_id", "id", default=url))
        rows.append((id, _values(url)))
        label = _first(row, "label_id", "label", default="")
        labels.setdefault(id, []).extend(_values(label))
    return _merged(rows)(labels)


def _first(row: Mapping[str, Any], *names: str, default: Any = None) -> Any:
    for name in names:
        if row.get(name) not in (None, ""):
            return row[name]
    if default is None:
        raise KeyError(names[0])
    return default


def _values(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)] if value != "" else []


def _merged(rows: Iterable[tuple[str, list[str]]]) -> Callable[[Mapping[str, list[str]]], list[Wanted]]:
    """Rows of one id become one picture, with the URLs of all."""
    urls: dict[str, list[str]] = {}
    for id, found in rows:
        urls.setdefault(id, []).extend(found)

    def with_labels(labels: Mapping[str, list[str]]) -> list[Wanted]:
        return [
            Wanted(id, tuple(dict.fromkeys(found)), tuple(dict.fromkeys(labels.get(id, ()))))
            for id, found in urls.items()
            if found
        ]

    return with_labels


def fetch(
    wanted: Sequence[Wanted],
    folder: str | os.PathLike[str],
    client: RemoteClient,
    *,
    n_workers: int = 8,
    per_host: int = 4,
    pause_s: float = 0.0,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> FetchResult:
    """Download what is not there yet, and write which file has which label.

    Parameters
    ----------
    wanted : sequence of Wanted
    folder : path
        Made if it does not exist. Gets the pictures, `MANIFEST_NAME` and `LABELS_NAME`.
    client : RemoteClient
    n_workers, per_host : int
        Downloads at once, and from one host.
    pause_s : float
        At least so long between the starts of two downloads from one host.
    retry_failed : bool
        Also try again what an earlier run found to be gone for good.

    Raises
    ------
    CvsimError
        The folder cannot be written.
    """
    try:
        shelf = DownloadFolder(Path(folder))
        settled = shelf.settled(wanted, retry_failed)
        todo = [item for item in wanted if item.id not in settled]
        downloads = _Downloads(client, shelf, per_host, pause_s)
        progress = progress or SilentProgress()
        n_fetched = 0
        with progress.task("Fetching pictures", len(todo)) as advance:
            for outcome in downloads.run(todo, n_workers):
                shelf.note(outcome)
                settled[outcome.id] = outcome
                n_fetched += outcome.file is not None
                advance(1)
        shelf.write_labels()
    except OSError as exc:
        raise CvsimError(f"{os.fspath(folder)}: cannot be written: {exc.strerror or exc}") from exc
    failed = sorted((o for o in settled.values() if o.file is None), key=lambda o: o.id)
    n_known = len(wanted) - len(failed) - n_fetched
    return FetchResult(len(wanted), n_fetched, n_known, tuple(failed))


class DownloadFolder:
    """The folder: what is in it, what is noted of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._manifest = folder / MANIFEST_NAME
        self._outcomes = self._read()
        self._files: dict[str, str] = {}
        for entry in os.scandir(folder):
            if entry.name.endswith(_PART):
                os.unlink(entry.path)  # of a run that was killed
            elif entry.name not in (MANIFEST_NAME, LABELS_NAME):
                self._files[entry.name.rpartition(".")[0]] = entry.name

    def _read(self) -> dict[str, FetchOutcome]:
        outcomes = {}
        if self._manifest.exists():
            with self._manifest.open("rb") as stream:
                for line in stream:
                    try:
                        row = json.loads(line)
                        outcomes[row["id"]] = FetchOutcome(**{**row, "labels": tuple(row["labels"])})
                    except (ValueError, KeyError, TypeError, RecursionError):
                        continue  # the last line of a run that was killed
        return outcomes

    def settled(self, wanted: Iterable[Wanted], retry_failed: bool) -> dict[str, FetchOutcome]:
        """What an earlier run settled: whole files, and failures that will not pass."""
        settled = {}
        for item in wanted:
            known, file = self._outcomes.get(item.id), self._files.get(file_stem(item.id))
            if file is not None:
                if known is None or known.file != file:  # killed between the file and its line
                    known = self._adopted(item, file)
                    self.note(known)
                settled[item.id] = known
            elif known is not None and known.file is None and not known.retryable and not retry_failed:
                settled[item.id] = known
        return settled

    def _adopted(self, item: Wanted, file: str) -> FetchOutcome:
        data = (self.folder / file).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        return FetchOutcome(item.id, item.urls[0], item.labels, file, digest=digest, size_bytes=len(data))

    def keep(self, item: Wanted, fetched: Fetched) -> FetchOutcome:
        """Write the picture, whole or not at all."""
        suffix = _SUFFIXES.get(fetched.format, fetched.format)
        file = f"{file_stem(item.id)}.{suffix}"
        write(self.folder / file, [fetched.data])
        digest = hashlib.sha256(fetched.data).hexdigest()
        return FetchOutcome(
            item.id, fetched.url, item.labels, file, digest=digest, size_bytes=len(fetched.data)
        )

    def note(self, outcome: FetchOutcome) -> None:
        """Add a line to the manifest."""
        self._outcomes[outcome.id] = outcome
        with self._manifest.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(outcome)) + "\n")

    def write_labels(self) -> None:
        """Which file has which label, a row each, for ``cvsim index --labels``."""
        rows = sorted(
            (path_cell(o.file), text_cell(label))
            for o in self._outcomes.values()
            if o.file
            for label in o.labels
        )
        with (
            replacing(self.folder / LABELS_NAME) as draft,
            draft.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("file", "label"))
            writer.writerows(rows)


def file_stem(id: str) -> str:
    """A file name for an id, never one that means something to a file system, and no two alike."""
    name = quote(id, safe="", errors="surrogateescape").replace("~", "%7E")
    name = re.sub(r"^[.]", "%2E", name)
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 33]}~{hashlib.sha256(os.fsencode(id)).hexdigest()[:32]}"
    return name


@dataclass
class _Host:
    """What waits for one host, and how it does."""

    waiting: deque[Wanted] = field(default_factory=deque)
    n_running: int = 0
    next_start: float = 0.0
    n_unreachable: int = 0


class _Downloads:
    """Runs downloads, so many at once and from one host; a slow host does not hold up the others."""

    def __init__(self, client: RemoteClient, shelf: DownloadFolder, per_host: int, pause_s: float) -> None:
        self._client, self._shelf = client, shelf
        self._per_host, self._pause_s = per_host, pause_s
        self._hosts: dict[str, _Host] = {}

    def run(self, items: Iterable[Wanted], n_workers: int) -> Iterator[FetchOutcome]:
        """The outcome of each, as they are completed."""
        for item in items:
            self._hosts.setdefault(_host_of(item), _Host()).waiting.append(item)
        running: dict[Future[tuple[FetchOutcome, bool]], _Host] = {}
        threads = ThreadPoolExecutor(n_workers, thread_name_prefix="fetch")
        try:
            while self._hosts or running:
                yield from self._start(threads, running, n_workers)
                done, _ = wait(running, timeout=self._pause(running), return_when=FIRST_COMPLETED)
                for future in done:
                    yield self._finished(future, running.pop(future))
        except BaseException:
            self._client.close()  # ends the waits between attempts
            raise
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def _start(
        self,
        threads: ThreadPoolExecutor,
        running: dict[Future[tuple[FetchOutcome, bool]], _Host],
        n_workers: int,
    ) -> Iterator[FetchOutcome]:
        now = monotonic()
        for name, host in list(self._hosts.items()):
            if len(running) >= n_workers:
                break
            if host.n_unreachable >= MAX_UNREACHABLE:
                for item in host.waiting:
                    reason = f"{name} could not be reached {host.n_unreachable} times in a row"
                    yield FetchOutcome(item.id, item.urls[0], item.labels, None, reason, retryable=True)
                host.waiting.clear()
            while host.waiting and len(running) < n_workers and host.n_running < self._per_host:
                if host.next_start > now:
                    break
                host.next_start = now + self._pause_s
                host.n_running += 1
                running[threads.submit(self._download, host.waiting.popleft())] = host
            if not host.waiting and not host.n_running:
                del self._hosts[name]

    def _pause(self, running: Collection[Any]) -> float | None:
        """How long until a host may be asked again; None: until a download ends."""
        starts = [h.next_start for h in self._hosts.values() if h.waiting and h.n_running < self._per_host]
        if not self._pause_s or not starts:
            return None if running else 0.0
        return max(min(starts) - monotonic(), 0.001)

    def _finished(self, future: Future[tuple[FetchOutcome, bool]], host: _Host) -> FetchOutcome:
        outcome, unreachable = future.result()
        host.n_running -= 1
        host.n_unreachable = host.n_unreachable + 1 if unreachable else 0
        return outcome

    def _download(self, item: Wanted) -> tuple[FetchOutcome, bool]:
        """The outcome, and whether the host could not even be reached."""
        error = FetchError("no URL is given")
        retryable = False
        for url in item.urls:
            try:
                return self._shelf.keep(item, self._client.fetch(url)), False
            except FetchError as exc:
                error = exc
                retryable |= exc.retryable
        failed = FetchOutcome(item.id, item.urls[-1], item.labels, None, str(error), retryable)
        return failed, error.unreachable


def _host_of(item: Wanted) -> str:
    try:
        return urlsplit(item.urls[0]).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
