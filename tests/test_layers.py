"""What may import what: the layers of the package, held by reading its source.

Every import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING, relative, or by
``importlib.import_module("...")``.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cvsim"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("web",),
    ("api", "index"),
    ("reports",),
    ("pipeline",),
    ("actions", "learning"),
    ("candidates", "fusion", "clustering", "evaluation", "features", "stores", "executors", "images"),
    ("types", "errors", "settings", "progress", "names", "own_process"),
)
"""The parts, from the top. A part imports parts of lower layers only, never one beside it."""

_PIPELINE = (
    "blocking collection comparing explaining extraction fetching grouping "
    "indexing models prefiltering previews products scoring searching sharding"
)
SAME_PART = dict.fromkeys(_PIPELINE.split(), "pipeline")
"""Modules that lie beside the one they belong to; ``models`` is data that only the pipeline loads."""

FOUNDATION = LAYERS[-1]
"""These may know each other: a setting is checked with an error."""

ONLY_IN = {
    "rich": ("cli",),
    "click": ("cli",),
    "httpx": ("images.remote",),
    "httpcore": ("images.guarded_network",),
    "requests": (),
    "urllib.request": ("images.remote",),
    "http.client": ("images.remote",),
    "jinja2": ("reports", "web"),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "pymilvus": ("stores",),
    "sqlite3": ("stores",),
    "distributed": ("executors",),
    "dask": ("executors",),
    "onnxruntime": ("features.embedding", "learning"),
    "torch": ("learning",),
    "onnx": ("features.embedding", "learning.pretrained"),
    "pooch": ("learning.pretrained",),
    "matplotlib": ("reports",),
    "send2trash": ("actions",),
}
"""Modules from elsewhere that one part keeps to itself."""

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc", "tools"}


@dataclass(frozen=True)
class Import:
    """`importer` and `imported` are dotted module names; `lazy` is inside a function."""

    importer: str
    imported: str
    line: int
    lazy: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def modules(package: Path) -> dict[str, ast.Module]:
    """Every module of a package by dotted name, ``cvsim`` itself included."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


@cache
def imports(package: Path) -> list[Import]:
    """Every import of a package, read once."""
    trees = modules(package)
    return [found for name, tree in trees.items() for found in module_imports(name, tree, trees, package)]


def module_imports(
    name: str, tree: ast.Module, trees: dict[str, ast.Module], package: Path
) -> Iterator[Import]:
    is_package = (package.parent / Path(*name.split(".")) / "__init__.py").exists()
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        for target in targets(node, name, is_package, trees):
            yield Import(name, target, node.lineno, id(node) in inside)  # type: ignore[attr-defined]


def targets(node: ast.AST, name: str, is_package: bool, trees: dict[str, ast.Module]) -> Iterator[str]:
    """The modules that a statement imports; ``from package import module`` is that module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = name.split(".") if is_package else name.split(".")[:-1]
            anchor = parents[: len(parents) - node.level + 1]
            base = ".".join([*anchor, *filter(None, [node.module])])
        for alias in node.names:
            submodule = f"{base}.{alias.name}"
            yield submodule if submodule in trees or submodule == "cvsim.__version__" else base
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            yield node.args[0].value


def part_of(module: str) -> str:
    """``cvsim.images.decode`` is of the part ``images``; the package itself of none."""
    part = module.split(".")[1] if "." in module else ""
    return SAME_PART.get(part, part)


def layer_of(part: str) -> int:
    for level, parts in enumerate(LAYERS):
        if part in parts:
            return level
    raise AssertionError(f"cvsim.{part} is in no layer: give it a place in LAYERS")


def upward_imports(package: Path) -> list[str]:
    """Imports that run up, or across to another part of the same layer."""
    wrong = []
    for found in imports(package):
        own, other = part_of(found.importer), part_of(found.imported)
        if not found.imported.startswith("cvsim.") or own in {"", other}:
            continue
        if found.imported == "cvsim.__version__" or {own, other} <= set(FOUNDATION):
            continue
        if layer_of(other) <= layer_of(own):
            wrong.append(str(found))
    return wrong


def test_imports_run_down_only() -> None:
    assert upward_imports(PACKAGE) == []


def test_every_module_has_a_place() -> None:
    for name in modules(PACKAGE):
        if name != "cvsim":
            layer_of(part_of(name))


def test_nothing_imports_the_public_package_but_for_its_version() -> None:
    wrong = [str(found) for found in imports(PACKAGE) if found.imported == "cvsim"]
    assert wrong == []


def test_only_the_command_line_imports_the_web_pages_and_only_when_used() -> None:
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if part_of(found.imported) == "web"
        and found.imported.startswith("cvsim.")
        and part_of(found.importer) != "web"
        and not (part_of(found.importer) == "cli" and found.lazy)
    ]
    assert wrong == []


def test_private_modules_stay_in_their_folder() -> None:
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if found.imported.startswith("cvsim.")
        and found.imported.rpartition(".")[2].startswith("_")
        and not found.imported.endswith("__")
        and not f"{found.importer}.".startswith(found.imported.rpartition(".")[0] + ".")
    ]
    assert wrong == []


@pytest.mark.parametrize("module", sorted(ONLY_IN))
def test_libraries_with_a_home_are_used_there_only(module: str) -> None:
    homes = tuple(f"cvsim.{home}" for home in ONLY_IN[module])
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if f"{found.imported}.".startswith(f"{module}.")
        and not any(f"{found.importer}.".startswith(f"{home}.") for home in homes)
    ]
    assert wrong == []


def test_signals_do_not_import_each_other() -> None:
    """What two of them need (borders, orientations, alignment) has a module of its own."""
    features = importlib.import_module("cvsim.features")
    signals = {type(factory()).__module__ for factory in features.FEATURES.values()}
    assert len(signals) > 3
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if found.importer in signals and found.imported in signals - {found.importer}
    ]
    assert wrong == []


def test_features_know_no_path_no_store_and_no_score() -> None:
    """They take arrays: of cvsim they import each other's parts, the value types and the errors."""
    allowed = {"features", *FOUNDATION}
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if part_of(found.importer) == "features"
        and found.imported.startswith("cvsim.")
        and part_of(found.imported) not in allowed
    ]
    assert wrong == []


def test_modules_are_named_for_what_they_hold() -> None:
    assert [name for name in modules(PACKAGE) if VAGUE_NAMES & set(name.split("."))] == []


def test_the_library_does_not_print_or_exit() -> None:
    wrong = []
    for name, tree in modules(PACKAGE).items():
        if part_of(name) in {"cli", "__main__"}:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "print",
                "sys.exit",
                "exit",
                "os._exit",
            }:
                wrong.append(f"{name}:{node.lineno} calls {ast.unparse(node.func)}")
    # A forked child must end there, without what its parent has yet to do at its own end.
    assert [line.split(":")[0] for line in wrong] == ["cvsim.executors.forks"]


# --- the reader of imports is tested on packages that break the rules ---------------------------------------


WRONG = {
    "up": ("images/decode.py", "from cvsim.pipeline import dedupe", "cvsim.pipeline"),
    "across, in a function": (
        "stores/base.py",
        "def f(): import cvsim.features.local",
        "cvsim.features.local",
    ),
    "across, relative": ("fusion/__init__.py", "from ..images import scan", "cvsim.images"),
    "across, a module by name": ("fusion/train.py", "from .. import clustering", "cvsim.clustering"),
    "up, by string": ("types.py", "importlib.import_module('cvsim.cli')", "cvsim.cli"),
    "across, for types only": (
        "actions/plan.py",
        "if TYPE_CHECKING: from cvsim.learning import A",
        "cvsim.learning",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_import_is_found(tmp_path: Path, case: str) -> None:
    file, source, imported = WRONG[case]
    for name in (file, "clustering.py", "__init__.py"):
        path = tmp_path / "cvsim" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source if name == file else "", encoding="utf-8")
    (found,) = upward_imports(tmp_path / "cvsim")
    assert found.endswith(f":1 imports {imported}")


def test_right_imports_are_let_through(tmp_path: Path) -> None:
    package = tmp_path / "cvsim"
    (package / "reports").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "__version__ = '1'\nfrom cvsim.reports import html\n", encoding="utf-8"
    )
    source = "import numpy\nfrom cvsim import __version__\nfrom cvsim.types import Pair\nfrom . import csv\n"
    (package / "reports" / "html.py").write_text(source, encoding="utf-8")
    (package / "reports" / "csv.py").write_text("from cvsim.pipeline import dedupe\n", encoding="utf-8")
    assert upward_imports(package) == []
