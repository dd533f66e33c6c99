"""How well a grouping agrees with an answer set.

All figures come from the contingency table of the two labellings, in time linear in the number of images
(but for sorting). Pair figures are over pairs of images: a pair is predicted if both have one predicted
label, and true if both have one true label.

References: Hubert and Arabie (1985) for the Adjusted Rand Index; Bagga and Baldwin (1998) for B-cubed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvsim.arrays import NOT_AN_ARRAY, holds_missing
from cvsim.errors import UsageError
from cvsim.files import JsonResult, read_table
from cvsim.names import of_cell

if TYPE_CHECKING:
    from cvsim.types import Indices

LABEL_COLUMNS = ("file", "label")
"""What a CSV file of labels holds."""
RECALL_CUTOFFS = (0.95, 0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Scores of pairs at which recall is measured: training records it and prefilter takes the first that reaches
what is asked for. Pairs below the last are there by chance."""
_N_NAMED = 3
"""Files named in an error message."""


@dataclass(frozen=True, slots=True)
class Evaluation(JsonResult):
    """Agreement of a predicted grouping with the true one. All figures are 1.0 for equal groupings.

    Attributes
    ----------
    ari : float
        Adjusted Rand Index, at most 1; 0 is what chance would give.
    n_images, n_predicted, n_true : int
        Images, and different labels on either side.
    pair_precision, pair_recall, pair_f1 : float
        In [0, 1]. Precision is 1.0 if no pair is predicted, recall if no pair is true.
    bcubed_f1 : float
        In [0, 1]: harmonic mean of the B-cubed precision and recall, which weigh every image equally.
    accuracy : float or None
        Share of the images whose predicted label is the true one, in [0, 1]. None where the labels cannot be
        compared by their names: those of groups are numbers that mean nothing. They can where names are words
        and every predicted one but -1 is among the answers.
    """

    ari: float
    n_images: int
    n_predicted: int
    n_true: int
    pair_precision: float
    pair_recall: float
    pair_f1: float
    bcubed_f1: float
    accuracy: float | None = None

    def document(self) -> dict[str, Any]:
        """Give the figures by their names, as ``cvsim evaluate --json`` prints them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Contingency:
    """How many images have both a predicted and a true label, for the pairs of labels that occur.

    Attributes
    ----------
    counts : (n_cells,) int64 array
    predicted, true : (n_cells,) int64 arrays
        Numbers of the labels of each cell.
    predicted_sizes, true_sizes : int64 arrays
        Images of each label.
    """

    counts: Indices
    predicted: Indices
    true: Indices
    predicted_sizes: Indices
    true_sizes: Indices

    @classmethod
    def of(cls, predicted: ArrayLike, true: ArrayLike) -> Contingency:
        """From one label an image on either side, (n,) each, of any type that can be sorted."""
        predicted, true = np.asarray(predicted), np.asarray(true)
        if predicted.ndim != 1 or predicted.shape != true.shape:
            raise UsageError(
                f"one label an image is needed on either side, not {predicted.shape} and {true.shape} labels"
            )
        predicted_names, predicted_codes = np.unique(predicted, return_inverse=True)
        true_names, true_codes = np.unique(true, return_inverse=True)
        n_true = max(1, len(true_names))
        cells, counts = np.unique(predicted_codes * np.int64(n_true) + true_codes, return_counts=True)
        return cls(
            counts=counts,
            predicted=cells // n_true,
            true=cells % n_true,
            predicted_sizes=np.bincount(predicted_codes, minlength=len(predicted_names)),
            true_sizes=np.bincount(true_codes, minlength=len(true_names)),
        )


def evaluate(predicted: ArrayLike, true: ArrayLike) -> Evaluation:
    """Compare two groupings of the same images.

    Parameters
    ----------
    predicted, true : (n,) arrays
        One label an image, integers or strings; the names of labels do not matter. Every image counts; -1 is
        no group, and each stands alone.

    Returns
    -------
    Evaluation

    Raises
    ------
    UsageError
        If the two differ in length, are empty, or hold None or NaN.
    """
    accuracy = _accuracy(np.asarray(predicted), np.asarray(true))
    predicted, true = _checked(predicted, "predicted"), _checked(true, "true")
    table = Contingency.of(predicted, true)
    if not len(table.counts):
        raise UsageError("there are no labels to evaluate")
    n_images = int(table.counts.sum())
    n_both = _n_pairs(table.counts)
    n_predicted, n_true = _n_pairs(table.predicted_sizes), _n_pairs(table.true_sizes)
    precision, recall = _ratio(n_both, n_predicted), _ratio(n_both, n_true)
    return Evaluation(
        ari=adjusted_rand_index(n_both, n_predicted, n_true, n_images * (n_images - 1) // 2),
        n_images=n_images,
        n_predicted=len(table.predicted_sizes),
        n_true=len(table.true_sizes),
        pair_precision=precision,
        pair_recall=recall,
        pair_f1=_harmonic_mean(precision, recall),
        bcubed_f1=_bcubed_f1(table, n_images),
        accuracy=accuracy,
    )


def _accuracy(predicted: NDArray[Any], true: NDArray[Any]) -> float | None:
    """Share of equal labels; None where names of groups are no names of products."""
    if predicted.shape != true.shape or predicted.dtype.kind not in "UO" or true.dtype.kind not in "UO":
        return None
    given = {str(label) for label in predicted.tolist()} - {"-1"}
    are_names = bool(given) and given <= {str(label) for label in true.tolist()}
    if not are_names or all(label.lstrip("-").isdecimal() for label in given):
        return None
    return float((predicted.astype(str) == true.astype(str)).mean())


def _checked(labels: ArrayLike, side: str) -> NDArray[np.int64]:
    """Codes of the labels; each -1, which is no group, has one of its own. None and NaN are no labels."""
    found = np.asarray(labels)
    if holds_missing(found):
        raise UsageError(f"a {side} label is None or NaN; give -1 to what has no group")
    codes: NDArray[np.int64] = np.unique(found, return_inverse=True)[1].reshape(found.shape)
    alone = found.astype(str) == "-1"
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return codes


def recall_by_kind(
    predicted: ArrayLike, true: ArrayLike, kinds: Sequence[str], *, original: str = "original"
) -> dict[str, float]:
    """Share of the copies of each kind that landed in the group of their original.

    Parameters
    ----------
    predicted, true : (n,) arrays
        One label an image.
    kinds : (n,) sequence of str
        What made each image; `original` for the one that the others of its true group were made from.
        Images whose true group has no original, and originals themselves, are not counted.
    original : str
        The kind that stands for an original.

    Returns
    -------
    dict
        Kind to a share in [0, 1], by kind.

    Raises
    ------
    UsageError
        If the three differ in length, or a true group has two originals.
    """
    predicted, true, kind_names = np.asarray(predicted), np.asarray(true), np.asarray(kinds)
    if not len(predicted) == len(true) == len(kind_names):
        raise UsageError(
            f"{len(predicted)} predicted labels, {len(true)} true labels and {len(kind_names)} kinds were "
            "given; each image needs one of each"
        )
    true_names, group = np.unique(true, return_inverse=True)
    is_original = kind_names == original
    if is_original.any() and np.bincount(group[is_original]).max() > 1:
        twice = true_names[np.bincount(group[is_original]).argmax()]
        raise UsageError(f"true group {twice!r} has two images of kind {original!r}")
    original_of = np.full(len(true_names), -1)
    original_of[group[is_original]] = np.flatnonzero(is_original)
    counted = ~is_original & (original_of[group] >= 0)
    found = predicted[counted] == predicted[original_of[group[counted]]]
    names, code = np.unique(kind_names[counted], return_inverse=True)
    shares = np.bincount(code, weights=found, minlength=len(names)) / np.bincount(code, minlength=len(names))
    return dict(zip(names.tolist(), shares.tolist(), strict=True))


def read_labels(path: str | Path) -> dict[str, str] | NDArray[np.int64]:
    """Read a file of labels.

    Parameters
    ----------
    path : str or Path
        ``.npy``: a one-dimensional array of integers, in the order of the images' relative paths. Anything
        else: CSV with a header that names the columns ``file`` and ``label`` (others are ignored).

    Returns
    -------
    dict of file to label, or (n,) int64 array

    Raises
    ------
    UsageError
        If the file cannot be read, is of another shape, or names a file twice.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npy":
            return _read_npy(path)
        return _read_csv(path)
    except OSError as exc:
        raise UsageError(f"the labels in {path} cannot be read: {exc.strerror or exc}") from exc


def plain_path(file: str) -> str:
    """``./x/../y.jpg`` as ``y.jpg``, and an absolute path without the detours; other names as they are."""
    if file.startswith(("/", "./")) or "/./" in file or "/../" in file or "//" in file:
        return posixpath.normpath(file)
    return file


def _with_slashes(labels: Mapping[str, str], others: Mapping[str, str]) -> Mapping[str, str]:
    """Names with backslashes as the other side writes them."""
    changed = {file: file if file in others else plain_path(file.replace("\\", "/")) for file in labels}
    return {changed[file] if changed[file] in others else file: label for file, label in labels.items()}


def align_labels(
    predicted: Mapping[str, str] | NDArray[np.int64], true: Mapping[str, str] | NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bring two sets of labels, each as `read_labels` returns them, into one order.

    Two mappings are matched by file. An array has no names, so it is matched with the other side in the
    order of paths by code point, which is the order that cvsim writes arrays in.

    Returns
    -------
    predicted, true : (n,) arrays

    Raises
    ------
    UsageError
        If the two do not label the same images.
    """
    if isinstance(predicted, Mapping) and isinstance(true, Mapping):
        predicted, true = _with_slashes(predicted, true), _with_slashes(true, predicted)
        missing, extra = sorted(true.keys() - predicted.keys()), sorted(predicted.keys() - true.keys())
        if missing or extra:
            raise UsageError(
                "the two files must label the same images: "
                + "; ".join(
                    f"{len(files)} only in the {side} ({_some(files)})"
                    for files, side in ((missing, "answers"), (extra, "prediction"))
                    if files
                )
            )
    elif len(predicted) != len(true):
        raise UsageError(
            f"the prediction labels {len(predicted)} images and the answers {len(true)}; an array of labels "
            "can only be matched with as many, in the order of their paths"
        )
    return _in_path_order(predicted), _in_path_order(true)


def _in_path_order(labels: Mapping[str, str] | NDArray[np.int64]) -> NDArray[Any]:
    if isinstance(labels, Mapping):
        return np.array([labels[file] for file in sorted(labels)], dtype=str)
    return labels


def _read_npy(path: Path) -> NDArray[np.int64]:
    try:
        labels = np.load(path, allow_pickle=False)
    except NOT_AN_ARRAY as exc:
        raise UsageError(f"{path} is not an array that numpy saved: {exc}") from exc
    except MemoryError as exc:
        raise UsageError(f"there is not enough memory for the array that {path} says it holds") from exc
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(f"{path} must hold a one-dimensional array of integers, one label an image")
    return labels.astype(np.int64)


def _read_csv(path: Path) -> dict[str, str]:
    labels: dict[str, str] = {}
    for line, row in read_table(path, LABEL_COLUMNS):
        if not row.keys() >= set(LABEL_COLUMNS):
            raise UsageError(f"{path}, line {line}: a file and a label are needed")
        file = plain_path(of_cell(row["file"]))
        if file in labels:
            raise UsageError(f"{path}, line {line}: {file!r} is labelled twice")
        labels[file] = of_cell(row["label"])
    return labels


def _some(files: list[str]) -> str:
    return ", ".join(files[:_N_NAMED]) + (", ..." if len(files) > _N_NAMED else "")


def _n_pairs(sizes: Indices) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0


def adjusted_rand_index(n_both: int, n_predicted: int, n_true: int, n_all: int) -> float:
    """(Index - expected index) / (largest index - expected index), in exact integers up to the division."""
    # All three terms are multiplied by 2 n_all, so that large collections lose no digit.
    expected = 2 * n_predicted * n_true
    largest = n_all * (n_predicted + n_true)
    if largest == expected:
        return 1.0
    return (2 * n_all * n_both - expected) / (largest - expected)


def _bcubed_f1(table: Contingency, n_images: int) -> float:
    if not n_images:
        return 1.0
    squares = table.counts.astype(np.float64) ** 2
    precision = float((squares / table.predicted_sizes[table.predicted]).sum() / n_images)
    recall = float((squares / table.true_sizes[table.true]).sum() / n_images)
    return _harmonic_mean(precision, recall)
