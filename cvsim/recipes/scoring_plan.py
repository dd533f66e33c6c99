"""What the settings come to before any file is read: features, fusion model, threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import SettingsError
from cvsim.features import make_features
from cvsim.features.base import WORKING_PX, overlaying
from cvsim.recipes.trained_signals import MappedVector, pair_model, pair_weights
from cvsim.scoring.model import FusionModel, read_model
from cvsim.scoring.relation import CopyRule
from cvsim.settings import MIN_WORD_VOTES, PROFILES, Profile, Settings

if TYPE_CHECKING:
    from cvsim.features.base import Feature

MODELS = Path(__file__).parents[1] / "models"
MIN_EMBEDDING_COSINE = 0.85
"""Under the copy profile, pictures whose embeddings are that near are worth a look, whatever their hashes."""


@dataclass(frozen=True, eq=False)
class ScoringPlan:
    """How the pictures of a run are described and scored.

    Attributes
    ----------
    features : tuple of Feature
    model : FusionModel
    threshold : float
        Score from which a pair is linked, inclusive.
    min_word_votes : int
        Agreeing keypoints that make a pair a candidate.
    nearness : mapping of str to float
        By signal whose vectors are searched: what a cosine of 1 adds to the nearness of two pictures.
    min_nearness : float or None
        Nearness that makes a candidate; None: what the threshold asks for, nearness being in log-odds.
    pair_recall : mapping of str to float
        Of a trained profile: the share of the pairs of held-out products at each score and above.
    copies : CopyRule or None
        Which of the links are copies; None: all of them.
    """

    features: tuple[Feature[Any], ...]
    model: FusionModel
    threshold: float
    min_word_votes: int = MIN_WORD_VOTES["default"]
    nearness: Mapping[str, float] = field(default_factory=dict)
    min_nearness: float | None = None
    pair_recall: Mapping[str, float] = field(default_factory=dict)
    copies: CopyRule | None = None

    @property
    def least_nearness(self) -> float:
        """Nearness from which a pair is a candidate."""
        return self.min_log_odds - self.model.prior if self.min_nearness is None else self.min_nearness

    @property
    def tells_negatives(self) -> bool:
        """Whether pictures are laid over each other: to all other signals a negative is a stranger."""
        return overlaying(self.features) is not None

    @property
    def min_log_odds(self) -> float:
        """The threshold in log-odds, finite."""
        return _log_odds(self.threshold)


def _log_odds(probability: float) -> float:
    p = min(max(probability, 1e-12), 1 - 1e-12)
    return float(np.log(p / (1 - p)))


def scoring_plan(settings: Settings) -> ScoringPlan:
    """The plan of a run.

    Raises
    ------
    SettingsError
        The profile or a signal is not known.
    """
    if settings.profile not in PROFILES:
        return _trained_plan(settings)
    profile = PROFILES[settings.profile]
    names = settings.signals or profile.signals[settings.effort]
    threshold = profile.threshold if settings.threshold is None else settings.threshold
    model = _model(profile, settings)
    votes = MIN_WORD_VOTES[settings.effort]
    copies = None
    if profile.copies is not None:
        judge = PROFILES[profile.copies]
        copies = CopyRule(_model(judge, settings), _log_odds(judge.threshold))
    if settings.embedding is None:
        # Signals of somebody's own choice may need all the detail that there is.
        size_px = WORKING_PX if settings.signals else profile.working_px[settings.effort]
        return ScoringPlan(make_features(names, size_px), model, threshold, votes, copies=copies)
    from cvsim.recipes.products import make_embedding

    embedding = make_embedding(settings.embedding)
    features = (*make_features(names), embedding)
    nearness = {embedding.name: 1.0}
    return ScoringPlan(features, model, threshold, votes, nearness, MIN_EMBEDDING_COSINE, copies=copies)


def _model(profile: Profile, settings: Settings) -> FusionModel:
    return read_model(MODELS / f"{profile.models[settings.effort]}.json")


def require_copies(settings: Settings, what: str) -> None:
    """Refuse a profile whose links are not copies alone, for what is made for copies.

    Parameters
    ----------
    what : str
        Subject of the message: what knows copies only.

    Raises
    ------
    SettingsError
    """
    if settings.is_for_looking:
        raise SettingsError(
            f"{what} copies only; the profile {settings.profile!r} is for dedupe and compare: "
            f"leave out --profile {settings.profile}"
        )


def _trained_plan(settings: Settings) -> ScoringPlan:
    """The plan of a profile that `cvsim train` made."""
    from cvsim.recipes.products import features_of, read_profile  # with scikit-learn, a second to load

    trained = read_profile(settings.profile)
    if settings.signals:
        raise SettingsError("a trained profile has its own signals; leave out --signals")
    if trained.provenance.get("unsupervised"):
        raise SettingsError(
            "a profile of groups that nobody named scores no pairs; make one with cvsim train"
        )
    features = features_of(trained, settings.embedding)
    mapped = tuple(
        MappedVector(feature, signal.map) for feature, signal in zip(features, trained.signals, strict=True)
    )
    return ScoringPlan(
        mapped,
        pair_model(trained),
        trained.pair_threshold if settings.threshold is None else settings.threshold,
        MIN_WORD_VOTES[settings.effort],
        pair_weights(trained),
        pair_recall=trained.quality.get("pair_recall", {}),
    )
