"""The fusion model: its file, its curves, and that its probabilities mean what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cvsim.arrays import sigmoid
from cvsim.errors import SettingsError, UsageError
from cvsim.recipes.scoring_plan import MODELS
from cvsim.scoring.fit import fit_model
from cvsim.scoring.model import COVERAGE, TEXTURE, Curve, FusionModel, read_model
from cvsim.settings import PROFILES

MODEL = FusionModel(
    "test",
    -4.0,
    {"hash": Curve((0.5, 0.8, 1.0), (-2.0, 0.5, 6.0)), "color": Curve((0.0, 1.0), (-1.0, 2.0))},
    {"data": "made up", "seed": 7},
)
SHIPPED = sorted(MODELS.glob("*.json"))


def curves() -> st.SearchStrategy[Curve]:
    def made(knots: set[float], start: float, rises: list[float]) -> Curve:
        ordered = sorted(knots)
        heights = np.cumsum([start, *rises])[: len(ordered)]
        return Curve(tuple(ordered[: len(heights)]), tuple(heights.tolist()))

    return st.builds(
        made,
        st.sets(st.integers(0, 100).map(lambda k: k / 100), min_size=2, max_size=6),
        st.floats(-5, 5),
        st.lists(st.floats(0, 5), min_size=5, max_size=5),
    )


@given(curve=curves(), similarities=st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_more_alike_is_never_less_likely(curve: Curve, similarities: list[float]) -> None:
    ordered = np.sort(np.array(similarities))
    assert (np.diff(curve(ordered)) >= -1e-9).all()
    assert curve(ordered).max() <= curve.largest + 1e-9


@given(curve=curves())
@settings(max_examples=30, deadline=None)
def test_no_evidence_adds_nothing(curve: Curve) -> None:
    assert curve(np.array([np.nan, 1.0]))[0] == 0.0
    assert curve(np.array(np.nan)) == 0.0


@given(similarities=st.tuples(*[st.floats(0, 1) | st.just(float("nan"))] * 3))
@settings(max_examples=60, deadline=None)
def test_no_pair_scores_over_the_best_score(similarities: tuple[float, ...]) -> None:
    named = {name: np.float32([s]) for name, s in zip(("hash", "color", "new"), similarities, strict=True)}
    assert MODEL.score(named)[0] <= MODEL.best_score(named) + 1e-9


def test_signals_that_it_was_not_fitted_to_are_named_and_add_nothing() -> None:
    assert MODEL.unweighed(["color", "new", "hash"]) == ("new",)
    assert MODEL.best_score(["hash", "color", "new"]) == pytest.approx(sigmoid(-4 + 6 + 2))
    assert MODEL.best_score(["new"]) == pytest.approx(sigmoid(-4))


@pytest.mark.parametrize(
    ("knots", "weights"),
    [((0.5,), (1.0,)), ((0.1, 0.2), (1.0,)), ((0.2, 0.2), (0.0, 1.0)), ((0.5, 0.1), (0.0, 1.0))],
)
def test_a_curve_that_is_none_is_refused(knots: tuple[float, ...], weights: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError):
        Curve(knots, weights)


def test_the_score_is_the_sigmoid_of_prior_and_weights() -> None:
    similarities = {"hash": np.float32([0.9, np.nan, 0.2]), "color": np.float32([np.nan, np.nan, 1.0])}
    expected = [-4 + 3.25, -4, -4 - 2 + 2]
    assert MODEL.log_odds(similarities) == pytest.approx(expected, abs=1e-5)
    assert MODEL.score(similarities) == pytest.approx([1 / (1 + np.exp(-z)) for z in expected], abs=1e-6)
    weights = MODEL.weights(similarities)
    assert MODEL.prior + sum(weights.values()) == pytest.approx(MODEL.log_odds(similarities))


def test_a_signal_that_the_model_does_not_know_adds_nothing() -> None:
    known = {"hash": np.float32([0.9])}
    assert MODEL.score(known | {"new": np.float32([1.0])}) == MODEL.score(known)


def test_the_score_is_a_probability_at_any_log_odds() -> None:
    with np.errstate(all="raise"):
        scores = sigmoid(np.array([-1e308, -800, 0, 800, 1e308]))
    assert scores == pytest.approx([0, 0, 0.5, 1, 1])


# --- the file ---------------------------------------------------------------------------------------------


@given(prior=st.floats(-20, 20), hash_curve=curves(), color=curves())
@settings(max_examples=30, deadline=None)
def test_a_model_survives_its_file(prior: float, hash_curve: Curve, color: Curve) -> None:
    import tempfile

    model = FusionModel("m", prior, {"hash": hash_curve, "color": color}, {"seed": 1})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        file.write_text(model.to_json(), encoding="utf-8")
        assert read_model(file) == model
        assert read_model(file).version == model.version


def test_the_version_follows_what_scores() -> None:
    other = FusionModel("test", -4.0, MODEL.curves | {"color": Curve((0.0, 1.0), (-1.0, 2.1))}, MODEL.origin)
    renamed = FusionModel("other name", MODEL.prior, dict(reversed(list(MODEL.curves.items()))), {})
    assert other.version != MODEL.version
    assert FusionModel("test", -4.1, MODEL.curves).version != MODEL.version
    assert renamed.version == MODEL.version


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"schema": "cvsim.fusion/9"}',
        '{"schema": "cvsim.fusion/1", "name": "x", "prior": 0, "curves": {"a": {"knots": [0]}}}',
        '{"schema": "cvsim.fusion/1", "name": "x", "prior": "much", "curves": {}}',
        '{"schema": "cvsim.fusion/1", "name": "x", "prior": 0, "curves": []}',
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "model.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError):
        read_model(file)


def test_bytes_that_are_no_text_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"model\.json"):
        read_model(tmp_path / "model.json")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_model(tmp_path / "gone.json")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_model(tmp_path)


# --- the models that ship ---------------------------------------------------------------------------------


def test_every_profile_has_its_models() -> None:
    wanted = {model for profile in PROFILES.values() for model in profile.models.values()}
    assert wanted <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_model_says_what_it_came_from_and_rises(path: Path) -> None:
    if json.loads(path.read_text(encoding="utf-8"))["schema"] != "cvsim.fusion/1":
        pytest.skip("is no fusion model")
    model = read_model(path)
    assert model.name == path.stem
    assert model.origin
    assert model.prior < 0, "unknown pairs are mostly different"
    for name, curve in model.curves.items():
        assert all(b >= a for a, b in zip(curve.weights, curve.weights[1:], strict=False)), name
    for name in {name.partition("@")[0] for name in model.curves} - {COVERAGE, TEXTURE}:
        speaks = model.most([name]) > 0 or model.least([name]) < 0
        assert speaks, f"{name} never speaks for or against a pair: leave it out"


# --- training ---------------------------------------------------------------------------------------------


def synthetic(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Pairs whose true probability is known: linear log-odds, a third without evidence of one."""
    rng = np.random.default_rng(seed)
    first, second = rng.random(n), rng.random(n)
    unknown = rng.random(n) < 1 / 3
    log_odds = -3 + 8 * (first - 0.3) + np.where(unknown, 0, 5 * (second - 0.5))
    probability = 1 / (1 + np.exp(-log_odds))
    same = rng.random(n) < probability
    second = np.where(unknown, np.nan, second)
    return {"first": first.astype(np.float32), "second": second.astype(np.float32)}, same, probability


FIT = {
    "knots": {"first": np.linspace(0, 1, 6).round(2), "second": np.linspace(0, 1, 5)},
    "pivots": {"first": 0.3, "second": 0.5},
    "prior": -3.0,
}


@pytest.fixture(scope="module")
def fitted() -> FusionModel:
    similarities, same, _ = synthetic(20_000, 1)
    return fit_model("synthetic", similarities, same, ridge=0.02, origin={"seed": 1}, **FIT)  # type: ignore[arg-type]


def test_the_fit_is_calibrated(fitted: FusionModel) -> None:
    similarities, same, _ = synthetic(40_000, 2)
    score = fitted.score(similarities)
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1)):
        rows = (score >= low) & (score < high)
        error = 4 * np.sqrt(same[rows].mean() * (1 - same[rows].mean()) / rows.sum()) + 0.01
        assert same[rows].mean() == pytest.approx(score[rows].mean(), abs=error), (low, high)


def test_the_fit_finds_the_truth(fitted: FusionModel) -> None:
    similarities, _, probability = synthetic(5_000, 3)
    assert np.abs(fitted.score(similarities) - probability).mean() < 0.02


def test_the_fit_rises_and_is_zero_at_its_pivots(fitted: FusionModel) -> None:
    for name, curve in fitted.curves.items():
        assert all(b >= a for a, b in zip(curve.weights, curve.weights[1:], strict=False)), name
        assert float(curve(np.array(FIT["pivots"][name]))) == pytest.approx(0, abs=1e-3)  # type: ignore[index]
    assert fitted.prior == -3.0
    assert fitted.origin == {"seed": 1}


def test_a_signal_that_says_the_opposite_is_given_no_weight() -> None:
    rng = np.random.default_rng(0)
    same = rng.random(2000) < 0.5
    similarities = {"wrong": np.where(same, 0.2, 0.8) + rng.normal(0, 0.1, 2000)}
    model = fit_model(
        "wrong", similarities, same, knots={"wrong": (0.0, 0.5, 1.0)}, pivots={"wrong": 0.5}, prior=0.0
    )
    assert model.curves["wrong"].weights == pytest.approx((0, 0, 0), abs=1e-3)


def test_two_signals_that_say_the_same_are_not_counted_twice() -> None:
    similarities, same, _ = synthetic(20_000, 4)
    first = similarities["first"]
    doubled = {"first": first, "again": first}
    knots, pivots = FIT["knots"]["first"], 0.3  # type: ignore[index]
    one = fit_model(
        "one", {"first": first}, same, knots={"first": knots}, pivots={"first": pivots}, prior=-3.0
    )
    two = fit_model(
        "two",
        doubled,
        same,
        knots={"first": knots, "again": knots},
        pivots={"first": pivots, "again": pivots},
        prior=-3.0,
    )
    assert np.abs(two.score(doubled) - one.score({"first": first})).max() < 0.03


def test_a_signal_adds_no_more_than_it_may() -> None:
    similarities, same, _ = synthetic(5_000, 6)
    free = fit_model("free", similarities, same, ridge=0.02, **FIT)  # type: ignore[arg-type]
    bounded = fit_model("bounded", similarities, same, ridge=0.02, most={"first": 0.75}, **FIT)  # type: ignore[arg-type]
    assert free.most(["first"]) > 0.75
    assert bounded.most(["first"]) <= 0.75 + 1e-3


def test_what_is_drawn_by_hand_is_in_each_pair_of_the_fit() -> None:
    similarities, same, probability = synthetic(20_000, 7)
    second = Curve((0.0, 1.0), (-2.5, 2.5))
    knots, pivots = {"first": FIT["knots"]["first"]}, {"first": 0.3}  # type: ignore[index]
    model = fit_model(
        "hand",
        similarities,
        same,
        knots=knots,
        pivots=pivots,
        prior=-3.0,
        ridge=0.02,
        by_hand={"second": second},
    )
    assert model.curves["second"] == second
    assert np.abs(model.score(similarities) - probability).mean() < 0.02


def test_a_curve_by_hand_may_speak_of_flat_ground_alone() -> None:
    similarities, same, probability = synthetic(20_000, 7)
    flat = np.arange(len(same)) % 2 == 0
    similarities["texture"] = np.where(flat, 0.5, 1.0).astype(np.float32)
    similarities["coverage"] = np.ones(len(same), np.float32)
    model = fit_model(
        "hand",
        similarities,
        same,
        knots={"first": FIT["knots"]["first"]},  # type: ignore[index]
        pivots={"first": 0.3},
        prior=-3.0,
        ridge=0.02,
        by_hand={"second@flat": Curve((0.0, 1.0), (-2.5, 2.5))},
    )
    wrong = np.abs(model.score(similarities) - probability)
    assert wrong[flat].mean() < 0.06 < wrong[~flat].mean()
    assert model.unweighed(["first", "second", "third"]) == ("third",)


def test_curves_of_photographs_may_be_kept_and_flat_ground_has_knots_of_its_own() -> None:
    similarities, same, _ = synthetic(5_000, 8)
    is_flat = np.arange(len(same)) % 2 == 0
    similarities = {"first": similarities["first"], "texture": np.where(is_flat, 0.5, 1.0).astype(np.float32)}
    similarities["coverage"] = np.ones(len(same), np.float32)
    old = FusionModel("m", -3.0, {"first": Curve((0.0, 1.0), (-1.0, 1.0))})
    knots = {"first": (0.0, 0.3, 1.0), "first@flat": (0.0, 0.3, 0.9, 1.0)}
    model = fit_model(
        "m", similarities, same, knots=knots, pivots={"first": 0.3}, prior=-3.0, by_case=["first"], kept=old
    )
    assert model.curves["first"] == old.curves["first"]
    assert "first@part" not in model.curves
    assert model.curves["first@flat"].knots == (0.0, 0.3, 0.9, 1.0)
    assert model.curves["first@part@flat"].knots == (0.0, 0.3, 1.0)
    flat = {name: values[is_flat] for name, values in similarities.items()}
    assert model.score(flat).mean() == pytest.approx(same[is_flat].mean(), abs=0.03)


def test_pairs_of_one_kind_teach_nothing() -> None:
    similarities, same, _ = synthetic(50, 5)
    for labels in (np.ones_like(same), np.zeros_like(same)):
        with pytest.raises(UsageError, match="same"):
            fit_model("none", similarities, labels, **FIT)  # type: ignore[arg-type]


def test_a_signal_weighs_otherwise_on_parts_and_on_flat_ground() -> None:
    def line(most: float) -> Curve:
        return Curve((0.0, 1.0), (0.0, most))

    model = FusionModel("m", -1.0, {"pixels": line(1.0), "pixels@part": line(2.0), "pixels@flat": line(3.0)})
    known = {
        "pixels": np.ones(5, np.float32),
        "coverage": np.array([1.0, 0.5, 1.0, 0.5, np.nan], np.float32),
        "texture": np.array([0.9, 0.9, 0.2, 0.2, 0.9], np.float32),
    }
    # A part on flat ground has no curve of its own here: it is weighed as usual.
    assert model.weights(known)["pixels"].tolist() == [1.0, 2.0, 3.0, 1.0, 2.0]
    alone = {"pixels": np.ones(1, np.float32)}
    assert model.weights(alone)["pixels"].tolist() == [1.0]
    assert model.bound(alone, upper=True).tolist() == [2.0]
    assert model.bound(alone, upper=False).tolist() == [0.0]
    assert model.most(["pixels"]) == 3.0
    assert model.least(["pixels"]) == 0.0


def test_equal_pixels_outweigh_everything() -> None:
    model = FusionModel("m", -7.0, {"pixels": Curve((0.0, 1.0), (-20.0, 1.0))})
    score = model.score({"pixels": np.zeros(2, np.float32), "identity": np.array([1.0, np.nan], np.float32)})
    assert score[0] > 0.9999
    assert score[1] < 0.01
