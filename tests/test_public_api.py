"""The public surface is this list: a name is added or taken away here on purpose."""

from __future__ import annotations

import inspect

import pytest

import cvsim

PUBLIC = [
    "Compared",
    "CvsimError",
    "Index",
    "ProductClassifier",
    "ProductClusterer",
    "ProductMetric",
    "Report",
    "Settings",
    "__version__",
    "compare",
    "dedupe",
    "prefilter",
]


PROMISED = {
    "Compared": "score relation contained prior comparisons to_json picture_bytes to_picture",
    "Index": "open add search remove close",
    "ProductClassifier": "fit predict predict_proba",
    "ProductClusterer": "fit fit_predict",
    "ProductMetric": "fit transform",
    "Report": "groups skipped counts to_json to_csv to_html to_plan close",
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
    assert [member for member in PROMISED[name].split() if not hasattr(value, member)] == []


@pytest.mark.parametrize("name", ["dedupe", "prefilter", "Index.add"])
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
    methods = [
        (f"{name}.{key}", method)
        for key, method in vars(value).items()
        if inspect.isfunction(method) and not key.startswith("_")
    ]
    return [(label, method) for label, method in methods if len(inspect.signature(method).parameters) > 1]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="dedupe"):
        cvsim.dedup  # noqa: B018
