"""Figures against scikit-learn and against counting pair by pair; label files and their mistakes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from cvsim.errors import UsageError
from cvsim.groups.evaluation import align_labels, evaluate, read_labels, recall_by_kind
from cvsim.recipes.products import load_features

labellings = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        *[
            st.lists(
                st.integers(-3, 6).map(lambda label: -9 if label == -1 else label), min_size=n, max_size=n
            )
        ]
        * 2
    )
)


@settings(max_examples=200, deadline=None)
@given(labels=labellings)
def test_figures_equal_scikit_learn_and_counting(labels):
    predicted, true = labels
    result = evaluate(predicted, true)
    pairs = list(itertools.combinations(range(len(true)), 2))
    in_predicted = {(i, j) for i, j in pairs if predicted[i] == predicted[j]}
    in_true = {(i, j) for i, j in pairs if true[i] == true[j]}
    both = len(in_predicted & in_true)
    assert result.pair_precision == pytest.approx(both / len(in_predicted) if in_predicted else 1.0)
    assert result.pair_recall == pytest.approx(both / len(in_true) if in_true else 1.0)
    assert (result.n_images, result.n_predicted, result.n_true) == (
        len(true),
        len(set(predicted)),
        len(set(true)),
    )
    if len(true) > 1:
        assert result.ari == pytest.approx(adjusted_rand_score(true, predicted))
        assert 2 * both == pair_confusion_matrix(true, predicted)[1, 1]
    assert result.bcubed_f1 == pytest.approx(naive_bcubed_f1(predicted, true))


def naive_bcubed_f1(predicted, true):
    n = len(true)
    if not n:
        return 1.0
    precision = recall = 0.0
    for i in range(n):
        mates = {j for j in range(n) if predicted[j] == predicted[i]}
        true_mates = {j for j in range(n) if true[j] == true[i]}
        precision += len(mates & true_mates) / len(mates) / n
        recall += len(mates & true_mates) / len(true_mates) / n
    return 2 * precision * recall / (precision + recall)


@given(labels=labellings)
def test_equal_groupings_are_perfect_whatever_their_names(labels):
    renamed = [f"group {label}" for label in labels[0]]
    result = evaluate(renamed, labels[0])
    assert (result.ari, result.pair_precision, result.pair_recall) == (1.0, 1.0, 1.0)
    assert result.bcubed_f1 == pytest.approx(1.0)


def test_a_million_images_lose_no_digit():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 300_000, 1_000_000)
    predicted = np.where(rng.random(len(true)) < 0.9, true, rng.integers(0, 300_000, len(true)))
    result = evaluate(predicted, true)
    assert result.ari == pytest.approx(adjusted_rand_score(true, predicted), rel=1e-9)
    assert evaluate(np.zeros(1_000_000), np.zeros(1_000_000)).ari == 1.0


def test_the_figures_have_the_names_of_the_command_line():
    assert list(evaluate([0], [0]).document()) == [
        "ari",
        "n_images",
        "n_predicted",
        "n_true",
        "pair_precision",
        "pair_recall",
        "pair_f1",
        "bcubed_f1",
        "accuracy",
    ]


def test_recall_by_kind_counts_copies_in_the_group_of_their_original():
    true = ["a", "a", "a", "a", "b", "b", "c", "c"]
    kinds = ["original", "crop", "crop", "blur", "original", "blur", "distractor", "distractor"]
    predicted = [0, 0, 1, 0, 2, 3, 0, 0]
    assert recall_by_kind(predicted, true, kinds) == {"blur": 0.5, "crop": 0.5}


def test_recall_by_kind_refuses_two_originals_and_other_lengths():
    with pytest.raises(UsageError, match="two images"):
        recall_by_kind([0, 0], ["a", "a"], ["original", "original"])
    with pytest.raises(UsageError, match="3 kinds"):
        recall_by_kind([0, 0], ["a", "a"], ["original", "blur", "blur"])


def test_labels_of_other_lengths_are_refused():
    with pytest.raises(UsageError, match="one label an image"):
        evaluate([0, 1], [0])


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_files_are_matched_by_name_in_any_order(tmp_path):
    predicted = read_labels(write(tmp_path / "p.csv", 'file,label\nx.jpg,1\ny/z.jpg,2\n"a,b.jpg",1\n'))
    true = read_labels(write(tmp_path / "t.csv", 'kind,label,file\nk,A,"a,b.jpg"\nk,B,y/z.jpg\nk,A,x.jpg\n'))
    assert evaluate(*align_labels(predicted, true)).ari == 1.0


def test_an_array_is_matched_in_the_order_of_paths(tmp_path):
    np.save(tmp_path / "p.npy", np.array([5, 5, 7], np.int32))
    true = read_labels(write(tmp_path / "t.csv", "file,label\nb.jpg,A\nc.jpg,B\nB.jpg,A\n"))
    predicted = read_labels(tmp_path / "p.npy")
    assert evaluate(*align_labels(predicted, true)).ari == 1.0
    assert evaluate(*align_labels(true, predicted)).ari == 1.0
    assert evaluate(*align_labels(predicted, predicted)).n_images == 3


def test_names_that_are_not_utf8_and_a_byte_order_mark_are_read(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbffile,label\r\n\xff.jpg,1\r\n")
    assert read_labels(tmp_path / "p.csv") == {"\udcff.jpg": "1"}


def test_missing_and_extra_files_are_named():
    with pytest.raises(
        UsageError, match=r"1 only in the answers \(b\); 4 only in the prediction \(c, d, e, \.\.\.\)"
    ):
        align_labels(dict.fromkeys("acdef", "1"), dict.fromkeys("ab", "1"))


def test_an_array_of_another_length_is_refused():
    with pytest.raises(UsageError, match="labels 2 images and the answers 3"):
        align_labels(np.zeros(2, np.int64), np.zeros(3, np.int64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header"),
        ("x.jpg,1\n", "header"),
        ("file,label\nx.jpg\n", "line 2"),
        ("file,label\nx.jpg,1\n\nx.jpg,2\n", r"line 4: 'x.jpg' is labelled twice"),
    ],
)
def test_broken_csv_files_are_refused(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_labels(write(tmp_path / "p.csv", text))


@pytest.mark.parametrize("array", [np.zeros((2, 2), int), np.zeros(3), np.array(["a"])])
def test_arrays_that_are_no_labels_are_refused(tmp_path, array):
    np.save(tmp_path / "p.npy", array)
    with pytest.raises(UsageError, match="one-dimensional array of integers"):
        read_labels(tmp_path / "p.npy")


def test_files_that_can_not_be_read_are_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path)
    with pytest.raises(UsageError, match="not an array"):
        read_labels(write(tmp_path / "p.npy", "file,label\n"))


def test_minus_one_is_no_group_and_what_is_no_label_is_an_error():
    assert evaluate([0, 0, -1, -1], [0, 0, 1, 2]).ari == 1.0
    assert evaluate(["a", "-1", "-1"], ["x", "y", "z"]).n_predicted == 3
    for bad in ([None, 1], [float("nan"), 1.0]):
        with pytest.raises(UsageError, match="None or NaN"):
            evaluate(bad, [0, 1])
    with pytest.raises(UsageError, match="no labels"):
        evaluate([], [])


def test_names_may_be_written_as_other_systems_write_them(tmp_path):
    (tmp_path / "a.csv").write_text("file,label\n./x/a.jpg,1\nx\\b.jpg,1\n")
    (tmp_path / "b.csv").write_text("file,label\nx/a.jpg,c\nx/b.jpg,c\n")
    assert (
        evaluate(*align_labels(read_labels(tmp_path / "a.csv"), read_labels(tmp_path / "b.csv"))).ari == 1.0
    )


def test_an_array_whose_header_is_cut_off_is_a_clear_error(tmp_path):
    # numpy parses the header as Python, and what its tokenizer raises is no ValueError.
    header = b"{'descr': ("
    (tmp_path / "labels.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(UsageError, match="is not an array that numpy saved"):
        read_labels(tmp_path / "labels.npy")
    with pytest.raises(UsageError, match="is not an array that numpy saved"):
        load_features(tmp_path / "labels.npy")
