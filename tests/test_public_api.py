"""The public surface is this list: a name is added or taken away here on purpose."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import cvsim

FUNCTIONS = [
    "apply",
    "classify",
    "cluster",
    "compare",
    "dedupe",
    "evaluate",
    "extract_features",
    "fetch_dataset",
    "plot",
    "prefilter",
    "train",
    "train_network",
    "undo",
]
RESULTS = [
    "Applied",
    "CandidatePair",
    "Classified",
    "Clusters",
    "Compared",
    "Comparison",
    "Counts",
    "DedupeResult",
    "Drawing",
    "Entry",
    "Evaluation",
    "FeatureTable",
    "FetchOutcome",
    "FetchResult",
    "Group",
    "Hit",
    "ImageRecord",
    "IndexReport",
    "Member",
    "Outcome",
    "Pair",
    "Plan",
    "Prefiltered",
    "Query",
    "Report",
    "Restored",
    "ScoredPair",
    "Skipped",
    "Trained",
    "TrainedNetwork",
    "Undone",
]
ERRORS = [
    "ActionError",
    "CvsimError",
    "DamagedStoreError",
    "DecodeError",
    "FetchError",
    "ImageError",
    "MemoryNotAllowedError",
    "MissingExtraError",
    "NotAnImageError",
    "RemoteError",
    "SettingsError",
    "StoreError",
    "TooLargeError",
    "UsageError",
    "WrongStoreError",
]
OTHERS = [
    "Feature",
    "Index",
    "ProductClassifier",
    "ProductClusterer",
    "ProductMetric",
    "Progress",
    "ScanSettings",
    "Settings",
    "__version__",
]
PUBLIC = sorted([*FUNCTIONS, *RESULTS, *ERRORS, *OTHERS])

PROMISED = {
    "Applied": "action journal outcomes to_json",
    "Classified": "files labels probability to_csv to_npy",
    "Clusters": "files labels n_groups to_csv to_npy to_json",
    "Compared": "score relation contained prior comparisons to_json to_picture",
    "Drawing": "to_png to_html to_folder",
    "Evaluation": "ari pair_f1 bcubed_f1 to_json",
    "FeatureTable": "files vectors to_npy to_parquet",
    "FetchResult": "n_wanted n_fetched n_known failed to_json",
    "Index": "open add search remove close",
    "IndexReport": "n_files n_images n_missing n_new n_known n_vanished skipped to_json",
    "Prefiltered": "n_pairs recall to_csv to_json",
    "ProductClassifier": "fit predict predict_proba",
    "ProductClusterer": "fit fit_predict",
    "ProductMetric": "fit transform",
    "Report": "groups skipped counts to_json to_csv to_html to_plan to_graphml graph plan",
    "Trained": "model weights quality to_npz to_json",
    "Undone": "journal outcomes to_json",
}
"""What of each class other programs are told to use."""


def public_objects() -> list[str]:
    return [name for name in PUBLIC if name != "__version__"]


def test_the_public_names_are_this_list() -> None:
    assert cvsim.__all__ == PUBLIC
    assert dir(cvsim) == PUBLIC


def test_the_public_names_are_sorted() -> None:
    assert cvsim.__all__ == sorted(cvsim.__all__)


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert cvsim.__version__ == version("cvsim")
    except PackageNotFoundError:
        pytest.skip("cvsim runs from its source tree, not installed")


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_class_does_what_is_promised(name: str) -> None:
    value = getattr(cvsim, name)
    members = {*dir(value), *getattr(value, "__dataclass_fields__", ())}
    assert [member for member in PROMISED[name].split() if member not in members] == []


@pytest.mark.parametrize("name", [*sorted(set(FUNCTIONS) - {"compare", "evaluate"}), "Index.add"])
def test_long_calls_take_progress(name: str) -> None:
    owner, _, method = name.rpartition(".")
    function = getattr(getattr(cvsim, owner) if owner else cvsim, method)
    assert "progress" in inspect.signature(function).parameters


@pytest.mark.parametrize("name", public_objects())
def test_each_name_is_there_and_documented(name: str) -> None:
    value = getattr(cvsim, name)
    assert value.__module__.startswith("cvsim.")
    assert inspect.getdoc(value), f"cvsim.{name} has no docstring"


@pytest.mark.parametrize("name", public_objects())
def test_functions_say_what_they_take_and_give(name: str) -> None:
    """numpydoc: every parameter is named in the docstring, and so is what comes back."""
    for label, function in documented_functions(name):
        doc = inspect.getdoc(function) or ""
        parameters = [p for p in inspect.signature(function).parameters if p not in {"self", "cls"}]
        section = doc.partition("Parameters\n----------")[2].partition("\n----")[0]
        missing = [p for p in parameters if p not in section]
        assert not missing, f"{label}: {missing} not under Parameters"
        gives = inspect.signature(function).return_annotation
        if inspect.isfunction(getattr(cvsim, name)) and gives not in {None, "None"}:
            assert "Returns\n-------" in doc or "Yields\n------" in doc, f"{label}: no Returns"


def documented_functions(name: str) -> list[tuple[str, object]]:
    """The function itself, or the public methods of a class that take arguments."""
    value = getattr(cvsim, name)
    if inspect.isfunction(value):
        return [(name, value)]
    if name in {"Entry", "Feature", "Plan", "Progress", "Query", "Applied", "Undone"}:
        return []  # their methods are documented for those who extend cvsim, each in its own way
    methods = [
        (f"{name}.{key}", method)
        for key, method in vars(value).items()
        if inspect.isfunction(method) and not key.startswith("_")
    ]
    return [(label, method) for label, method in methods if len(inspect.signature(method).parameters) > 1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_write_their_options_out(name: str) -> None:
    parameters = inspect.signature(getattr(cvsim, name)).parameters.values()
    kinds = {p.kind for p in parameters}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    assert all(p.annotation is not p.empty for p in parameters)


def test_dedupe_takes_every_setting() -> None:
    names = {f.name for f in fields(cvsim.Settings)} - {"scan"} | {f.name for f in fields(cvsim.ScanSettings)}
    assert names <= set(inspect.signature(cvsim.dedupe).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_misspelt_option_is_named(name: str) -> None:
    wrong = {"dedupe": "thresold", "apply": "dry_runs", "undo": "path"}.get(name, "nothing_like_it")
    with pytest.raises(cvsim.SettingsError, match=rf"{name}\(\) takes no '{wrong}'; (did you mean|it takes)"):
        getattr(cvsim, name)(**{wrong: 1})


def test_every_error_is_public() -> None:
    import cvsim.errors

    assert sorted(n for n, v in vars(cvsim.errors).items() if inspect.isclass(v)) == ERRORS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="dedupe"):
        cvsim.dedup  # type: ignore[attr-defined]  # noqa: B018


def test_a_program_that_uses_it_is_type_checked(tmp_path: Path) -> None:
    client = Path(__file__).parent / "support" / "typed_client.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path)]
    done = subprocess.run([*command, str(client)], capture_output=True, text=True, cwd=client.parents[2])
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_it_changes_nothing_in_the_process() -> None:
    program = """
import gc, logging, os, signal, sys, threading, warnings
import cv2
cv2.setNumThreads(3)
def state():
    return (cv2.getNumThreads(), cv2.useOptimized(), dict(os.environ), gc.get_threshold(), os.getcwd(),
            list(warnings.filters), logging.root.handlers[:], logging.root.level, sys.path[:],
            signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD), threading.active_count())
import sklearn.base, PIL.Image, networkx, importlib  # what these change is theirs
before = state()
import cvsim
for name in dir(cvsim):
    getattr(cvsim, name)
after = state()
assert before == after, [pair for pair in zip(before, after) if pair[0] != pair[1]]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
