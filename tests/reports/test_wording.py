from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from cvsim.reports.wording import byte_size, keep_words, percent, quantity


@given(st.floats(0, 1))
def test_a_percentage_never_claims_more_than_the_score(score: float) -> None:
    shown = percent(score)
    number = float(shown.strip("<>% ")) / 100
    assert number <= score + 1e-9 or shown.startswith("<")
    assert (shown == "100 %") == (score == 1.0)


@pytest.mark.parametrize(("score", "shown"), [(0.9499, "94.9 %"), (0.95, "95.0 %"), (0.99951, "> 99.9 %")])
def test_percentages(score: float, shown: str) -> None:
    assert percent(score) == shown


@pytest.mark.parametrize(
    ("n", "shown"),
    [(0, "0 B"), (999, "999 B"), (75_000, "75.0 kB"), (999_960, "1.0 MB"), (3_210_000_000, "3.2 GB")],
)
def test_sizes(n: int, shown: str) -> None:
    assert byte_size(n) == shown


def test_quantities() -> None:
    assert [quantity(1, "group"), quantity(1234, "group")] == ["1 group", "1,234 groups"]


def test_a_rule_with_a_folder_names_it() -> None:
    assert keep_words("folder:best\x1b") == "it lies in best\\x1b"
    assert keep_words("resolution") == "it has the most pixels"
