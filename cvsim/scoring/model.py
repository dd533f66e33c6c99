"""The fusion model: log-odds of each signal, added to a fixed prior, through a sigmoid.

Each signal's weight is a rising, piecewise linear function of its similarity. A signal without evidence
adds nothing. The model is a JSON file that says what it was made from.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.arrays import sigmoid
from cvsim.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Similarities

FUSION_SCHEMA = "cvsim.fusion/1"


@dataclass(frozen=True)
class Curve:
    """A signal's weight in log-odds, linear between knots.

    Attributes
    ----------
    knots : tuple of float
        Similarities in [0, 1], rising.
    weights : tuple of float
        Log-odds at the knots, not falling.
    """

    knots: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.knots) != len(self.weights) or len(self.knots) < 2:
            raise SettingsError("a curve of a fusion model needs as many weights as knots, and at least two")
        if any(b <= a for a, b in zip(self.knots, self.knots[1:], strict=False)):
            raise SettingsError("the knots of a fusion model's curve must rise")

    def __call__(self, similarity: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of similarities of any shape; 0 where there is no evidence (NaN)."""
        weight = np.interp(np.nan_to_num(similarity), self.knots, self.weights)
        return np.where(np.isnan(similarity), 0.0, weight)

    @property
    def largest(self) -> float:
        """Say what the signal adds at most."""
        return max(0.0, *self.weights)


COVERAGE, WHOLE = "coverage", 0.85
"""The signal that says how much of both pictures lies under each other, and from where on all of it does."""
TEXTURE, TEXTURED = "texture", 0.9
"""The signal that says how much of both pictures is not flat, and from where on they are like photographs."""
FLAT = "@flat"
CASES = ("", "@part", FLAT, f"@part{FLAT}")
"""What ends the name of a signal's curve in each case: what an aligned part says is weighed otherwise than
what whole pictures say, and on flat ground, in drawings and on pages, agreement is cheap."""
IDENTITY = "identity"
"""The signal of equal pixels, the same under every model."""
_ADDS_NOTHING = Curve((0.0, 1.0), (0.0, 0.0))
_CERTAIN = Curve((0.0, 1.0), (0.0, 60.0))
"""More than all signals together: equal pixels are linked whatever else is, or is not, seen in them."""


@dataclass(frozen=True)
class FusionModel:
    """Prior and curves.

    Attributes
    ----------
    name : str
    prior : float
        Log-odds of a pair of which nothing is known.
    curves : mapping of str to Curve
        By signal; a signal's name with one of `CASES` where it is for that case alone.
    origin : mapping
        Data, seed and figures that it came from.
    """

    name: str
    prior: float
    curves: Mapping[str, Curve]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Changes whenever the model would score a pair differently."""
        values = [self.prior, {name: [c.knots, c.weights] for name, c in sorted(self.curves.items())}]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]

    def unweighed(self, signals: Iterable[str]) -> tuple[str, ...]:
        """Those of the signals that the model was not fitted to: they add nothing to a score."""
        return tuple(signal for signal in signals if not any(signal + end in self.curves for end in CASES))

    def best_score(self, signals: Iterable[str]) -> float:
        """The score of a pair that all these signals find as alike as can be."""
        return float(sigmoid(self.prior + self.most(signals)))

    def most(self, signals: Iterable[str]) -> float:
        """What these signals add at most, in log-odds."""
        return sum(max(0.0, *(c.largest for c in self._curves_of(signal))) for signal in signals)

    def least(self, signals: Iterable[str]) -> float:
        """What these signals add at least, in log-odds, 0 or less."""
        return sum(min(0.0, *(c.weights[0] for c in self._curves_of(signal))) for signal in signals)

    def _curves_of(self, signal: str) -> list[Curve]:
        """Of a signal in all cases."""
        return [self.curves[signal + end] for end in CASES if signal + end in self.curves] or [_ADDS_NOTHING]

    def weights(self, similarities: Mapping[str, Similarities]) -> dict[str, NDArray[np.float64]]:
        """What each signal adds, in log-odds; a signal that the model does not know adds nothing."""
        case = cases_of(similarities)
        found = {}
        for name, similarity in similarities.items():
            curve = _CERTAIN if name == IDENTITY else self.curves.get(name, _ADDS_NOTHING)
            found[name] = curve(similarity)
            for k, ending in enumerate(CASES[1:], 1):
                if ending and name + ending in self.curves:
                    found[name] = np.where(case == k, self.curves[name + ending](similarity), found[name])
        return found

    def bound(self, similarities: Mapping[str, Similarities], *, upper: bool) -> NDArray[np.float64]:
        """Prior and weights of signals of pairs whose case is not known yet: the most or the least, (n,)."""
        choose = np.maximum if upper else np.minimum
        total: NDArray[np.float64] = np.asarray(self.prior, np.float64)
        for name, similarity in similarities.items():
            curves = [_CERTAIN] if name == IDENTITY else self._curves_of(name)
            total = total + functools.reduce(choose, (curve(similarity) for curve in curves))
        return total

    def log_odds(self, similarities: Mapping[str, Similarities]) -> NDArray[np.float64]:
        """Prior and weights together, (n,)."""
        return self.prior + sum(self.weights(similarities).values())  # type: ignore[return-value]

    def score(self, similarities: Mapping[str, Similarities]) -> NDArray[np.float64]:
        """Probability that each pair is the same, (n,)."""
        return sigmoid(self.log_odds(similarities))

    def to_json(self) -> str:
        """The file's content."""
        curves = {n: {"knots": list(c.knots), "weights": list(c.weights)} for n, c in self.curves.items()}
        document = {
            "schema": FUSION_SCHEMA,
            "name": self.name,
            "prior": self.prior,
            "curves": curves,
            "origin": dict(self.origin),
        }
        return json.dumps(document, indent=1) + "\n"


def cases_of(similarities: Mapping[str, Similarities]) -> NDArray[np.int64]:
    """Which of `CASES` each pair is, of the similarities' shape; a part where nothing is laid over."""
    coverage, texture = similarities.get(COVERAGE), similarities.get(TEXTURE)
    case = np.zeros((), np.int64)
    if coverage is not None:
        case = case + ~(np.asarray(coverage) >= WHOLE)
    if texture is not None:
        case = case + 2 * ~(np.asarray(texture) >= TEXTURED)
    return case


def read_model(path: Path) -> FusionModel:
    """A model from its file.

    Raises
    ------
    SettingsError
        The file is missing or holds no model.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != FUSION_SCHEMA:
            raise SettingsError(f"{path}: not a fusion model of {FUSION_SCHEMA} but of {document['schema']}")
        curves = {
            str(name): Curve(tuple(map(float, c["knots"])), tuple(map(float, c["weights"])))
            for name, c in document["curves"].items()
        }
        return FusionModel(
            str(document["name"]), float(document["prior"]), curves, document.get("origin", {})
        )
    except OSError as exc:
        raise SettingsError(f"{path}: the fusion model cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise SettingsError(f"{path}: not a fusion model: {exc}") from exc
