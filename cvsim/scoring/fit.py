"""Fit a fusion model to labelled pairs.

Logistic regression on the rises of each signal's curve, none of which may be negative (more alike never
counts against a pair), with the prior held fixed. Trained jointly, signals that say the same are not
counted twice, and the probabilities are calibrated on the pairs they were fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

from cvsim.arrays import sigmoid
from cvsim.errors import UsageError
from cvsim.scoring.model import CASES, COVERAGE, FLAT, TEXTURE, Curve, FusionModel, cases_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Similarities


def fit_model(
    name: str,
    similarities: Mapping[str, Similarities],
    is_same: NDArray[np.bool_],
    *,
    knots: Mapping[str, Sequence[float]],
    pivots: Mapping[str, float],
    prior: float,
    ridge: float = 0.5,
    weight: NDArray[Any] | None = None,
    by_case: Sequence[str] = (),
    most: Mapping[str, float] | None = None,
    by_hand: Mapping[str, Curve] | None = None,
    kept: FusionModel | None = None,
    origin: Mapping[str, Any] | None = None,
) -> FusionModel:
    """A model from labelled pairs.

    Parameters
    ----------
    similarities : mapping of str to (n,) array
        By signal, NaN for no evidence.
    is_same : (n,) bool
    knots : mapping of str to sequence of float
        Where each signal's curve may bend; in one case alone under the signal's name with that of `CASES`.
    pivots : mapping of str to float
        The similarity at which each signal speaks neither for nor against: one of its knots. Without it a
        signal's mere presence would be evidence.
    prior : float
        Log-odds, held fixed.
    ridge : float
        Penalty on squared rises, against curves that bend for a single pair.
    weight : (n,) array, optional
        How much each pair counts; 1 if not given.
    by_case : sequence of str
        Signals that get a curve for each of `CASES`.
    most : mapping of str to float, optional
        Of some signals, what they may add at most; the stretches between the knots above the pivot have
        equal shares in it.
    by_hand : mapping of str to Curve, optional
        What is not fitted, but stands in the model, and in each pair while the others are fitted.
    kept : FusionModel, optional
        Whose curves of pictures like photographs stay what they are: only those of flat ground are fitted.

    Raises
    ------
    UsageError
        The pairs are all of one kind.
    """
    if is_same.all() or not is_same.any():
        raise UsageError("a fusion model needs pairs that are the same and pairs that are not")
    signals = [signal for signal in knots if _plain(signal) == signal]
    blocks = _blocks(similarities, signals, by_case)
    if kept is not None:
        blocks = {name: values for name, values in blocks.items() if FLAT in name}
    names = list(blocks)
    knots = {n: knots.get(n, knots[_plain(n)]) for n in names}
    pivots = {n: pivots[_plain(n)] for n in names}
    design = [_rises(blocks[n], np.asarray(knots[n], float), pivots[n]) for n in names]
    x = np.concatenate(design, axis=1)
    target = is_same.astype(float)
    counts = np.ones(len(target)) if weight is None else np.asarray(weight, float)
    fixed = FusionModel(name, prior, by_hand or {}).log_odds(similarities)

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = fixed + x @ theta
        value = counts @ (np.logaddexp(0, z) - target * z) + 0.5 * ridge * (theta @ theta)
        return float(value), x.T @ (counts * (sigmoid(z) - target)) + ridge * theta

    found = minimize(
        loss,
        np.zeros(x.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[bound for n in names for bound in _bounds(knots[n], pivots[n], (most or {}).get(_plain(n)))],
        options={"maxiter": 3000, "ftol": 1e-11},
    )
    curves = {} if kept is None else {n: c for n, c in kept.curves.items() if FLAT not in n}
    start = 0
    for signal in names:
        k = np.asarray(knots[signal], float)
        rises = found.x[start : start + len(k) - 1]
        start += len(k) - 1
        heights = np.concatenate([[0.0], np.cumsum(rises)])
        heights -= np.interp(pivots[signal], k, heights)
        curves[signal] = Curve(tuple(k.tolist()), tuple(np.round(heights, 4).tolist()))
    if by_case:  # the cases themselves are no evidence
        curves |= dict.fromkeys((COVERAGE, TEXTURE), Curve((0.0, 1.0), (0.0, 0.0)))
    return FusionModel(name, prior, {**curves, **(by_hand or {})}, dict(origin or {}))


def _plain(name: str) -> str:
    """The signal of a curve, whatever the case."""
    return name.partition("@")[0]


def _bounds(knots: Sequence[float], pivot: float, most: float | None) -> list[tuple[float, float | None]]:
    """Of each rise, between two knots."""
    is_above = [knot > pivot for knot in knots[1:]]
    share = None if most is None else most / max(sum(is_above), 1)
    return [(0.0, share if above else None) for above in is_above]


def _blocks(
    similarities: Mapping[str, Similarities], names: Sequence[str], by_case: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """What each curve is fitted to: where a signal has one for each case, each sees its own pairs alone."""
    case = cases_of(similarities)
    blocks: dict[str, NDArray[Any]] = {}
    for name in names:
        if name not in by_case:
            blocks[name] = similarities[name]
            continue
        for k, ending in enumerate(CASES):
            blocks[name + ending] = np.where(case == k, similarities[name], np.nan)
    return blocks


def _rises(similarity: NDArray[Any], knots: NDArray[np.float64], pivot: float) -> NDArray[np.float64]:
    """How far each stretch between knots lies under the similarity, 0 at the pivot; (n, k - 1)."""

    def ramps(s: NDArray[Any]) -> NDArray[np.float64]:
        return np.clip((s - knots[:-1]) / np.diff(knots), 0, 1)

    known = ~np.isnan(similarity)
    weights: NDArray[np.float64] = (
        ramps(np.nan_to_num(similarity)[:, None]) - ramps(np.array([[pivot]]))
    ) * known[:, None]
    return weights
