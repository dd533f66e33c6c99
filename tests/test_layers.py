"""What may import what: the layers of the package, held by reading its source.

Every import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING, relative, or by
``importlib.import_module("...")``.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import networkx
import pytest

PACKAGE = Path(__file__).parents[1] / "cvsim"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("web", "api", "testing"),
    ("recipes",),
    ("scoring",),
    ("reading", "candidates", "proof", "products"),
    ("executors", "groups", "actions", "reports", "fetch"),
    ("images", "features", "stores", "settings", "files"),
    ("errors", "types", "progress", "names", "_version", "arrays"),
)
"""The rooms, from the top. A room imports rooms of lower floors only, never one beside it."""

GROUND = FLOORS[-1]
"""These may know each other."""

ONLY_IN = {
    "rich": ("cli",),
    "click": ("cli",),
    "httpx": ("fetch.client", "fetch.network"),
    "httpcore": ("fetch.network",),
    "requests": (),
    "urllib.request": ("fetch.client",),
    "http.client": ("fetch.client",),
    "jinja2": ("reports", "web"),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "pymilvus": ("stores",),
    "opensearchpy": ("stores",),
    "sqlite3": ("stores",),
    "distributed": ("executors",),
    "dask": ("executors",),
    "onnxruntime": ("features.embedding", "products"),
    "torch": ("products",),
    "onnx2torch": ("products.pretrained",),
    "onnx": ("features.embedding", "products.pretrained"),
    "pooch": ("products.pretrained",),
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
            yield submodule if submodule in trees else base
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            yield node.args[0].value


def room_of(module: str) -> str:
    """``cvsim.images.decode`` is of the room ``images``; the package itself of none."""
    return module.split(".")[1] if "." in module else ""


def floor_of(room: str) -> int:
    for level, rooms in enumerate(FLOORS):
        if room in rooms:
            return level
    raise AssertionError(f"cvsim.{room} is on no floor: give it a place in FLOORS")


def upward_imports(package: Path) -> list[str]:
    """Imports that run up, or across to another room of the same floor."""
    wrong = []
    for found in imports(package):
        own, other = room_of(found.importer), room_of(found.imported)
        if not found.imported.startswith("cvsim.") or own in {"", other}:
            continue
        if {own, other} <= set(GROUND):
            continue
        if floor_of(other) <= floor_of(own):
            wrong.append(str(found))
    return wrong


def circles(package: Path) -> list[list[str]]:
    """Modules that import each other in a loop, inside a room or across rooms."""
    graph = networkx.DiGraph(
        (found.importer, found.imported)
        for found in imports(package)
        if found.imported.startswith("cvsim.") and found.imported != found.importer
    )
    return [sorted(loop) for loop in networkx.strongly_connected_components(graph) if len(loop) > 1]


def test_imports_run_down_only() -> None:
    assert upward_imports(PACKAGE) == []


def test_no_modules_import_each_other_in_a_loop() -> None:
    assert circles(PACKAGE) == []


def test_the_floors_are_as_the_documents_draw_them() -> None:
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    drawn = re.search(r"\*\*Layers\.\*\*.*?^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert drawn is not None
    assert [set(line.split(", ")) for line in drawn[1].splitlines()] == [set(floor) for floor in FLOORS[1:]]
    rooms = {room for line in re.findall(r"^\| (.+?) \|", text, re.MULTILINE) for room in line.split()}
    named = {room.strip("`,/") for room in rooms}
    assert {room for floor in FLOORS[1:] for room in floor} - named == set()


def test_every_module_has_a_floor() -> None:
    for name in modules(PACKAGE):
        if name != "cvsim":
            floor_of(room_of(name))


def test_nothing_imports_the_public_package() -> None:
    wrong = [str(found) for found in imports(PACKAGE) if found.imported == "cvsim"]
    assert wrong == []


def test_only_the_command_line_imports_the_web_pages_and_only_when_used() -> None:
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if room_of(found.imported) == "web"
        and found.imported.startswith("cvsim.")
        and room_of(found.importer) != "web"
        and not (room_of(found.importer) == "cli" and found.lazy)
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
    allowed = {"features", *GROUND}
    wrong = [
        str(found)
        for found in imports(PACKAGE)
        if room_of(found.importer) == "features"
        and found.imported.startswith("cvsim.")
        and room_of(found.imported) not in allowed
    ]
    assert wrong == []


def test_tests_mirror_the_package() -> None:
    """Each folder of tests is that of a room, of the ground floor, or of something beside the package."""
    rooms = {name for floor in FLOORS for name in floor if (PACKAGE / name).is_dir()}
    beside = {"api", "benchmarks", "fuzz", "ground", "manual", "samples", "support"}
    folders = {path.name for path in Path(__file__).parent.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders - rooms - beside == set()
    loose = {path.name for path in Path(__file__).parent.glob("*.py")}
    assert loose == {"conftest.py", "test_layers.py", "test_public_api.py", "test_readme.py"}


def test_modules_are_named_for_what_they_hold() -> None:
    assert [name for name in modules(PACKAGE) if VAGUE_NAMES & set(name.split("."))] == []


MAY_SHARE_A_NAME = {
    "C": "a type variable: a callable",
    "T": "a type variable: anything",
    "_log": "each module's own logger",
    "__all__": "what a package offers",
}
"""Names that several modules give, and what they mean in each."""


def names_given(package: Path) -> dict[str, list[str]]:
    """Classes, wherever they stand, and constants of modules, with the modules that define them."""
    given: dict[str, list[str]] = {}
    for module, tree in modules(package).items():
        classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        for name in classes | {name for node in tree.body for name in constants_of(node)}:
            given.setdefault(name, []).append(module)
    return given


def constants_of(node: ast.stmt) -> Iterator[str]:
    bound = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in bound if isinstance(node, ast.Assign | ast.AnnAssign) else ():
        parts = target.elts if isinstance(target, ast.Tuple) else [target]
        yield from (part.id for part in parts if isinstance(part, ast.Name))


def test_names_are_unique_among_classes_and_constants() -> None:
    shared = {name: where for name, where in names_given(PACKAGE).items() if len(where) > 1}
    assert {name: where for name, where in shared.items() if name not in MAY_SHARE_A_NAME} == {}


def test_a_name_that_two_modules_give_is_found(tmp_path: Path) -> None:
    package = tmp_path / "cvsim"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "a.py").write_text("class Plan: ...\nX, Y = 1, 2\n", encoding="utf-8")
    (package / "b.py").write_text("def f():\n    class Plan: ...\nX: int = 1\n", encoding="utf-8")
    shared = {name for name, where in names_given(package).items() if len(where) > 1}
    assert shared == {"Plan", "X"}


def test_the_library_does_not_print_or_exit() -> None:
    wrong = []
    for name, tree in modules(PACKAGE).items():
        if room_of(name) in {"cli", "__main__"}:
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
    "up": ("images/decode.py", "from cvsim.recipes.dedupe import dedupe", "cvsim.recipes.dedupe"),
    "across, in a function": (
        "stores/base.py",
        "def f(): import cvsim.features.local",
        "cvsim.features.local",
    ),
    "across, relative": ("stores/__init__.py", "from ..images import scan", "cvsim.images"),
    "across, a module by name": ("images/decode.py", "from .. import settings", "cvsim.settings"),
    "up, by string": ("types.py", "importlib.import_module('cvsim.cli')", "cvsim.cli"),
    "across, for types only": (
        "actions/plan.py",
        "if TYPE_CHECKING: from cvsim.groups import A",
        "cvsim.groups",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_import_is_found(tmp_path: Path, case: str) -> None:
    file, source, imported = WRONG[case]
    for name in (file, "settings.py", "__init__.py"):
        path = tmp_path / "cvsim" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source if name == file else "", encoding="utf-8")
    (found,) = upward_imports(tmp_path / "cvsim")
    assert found.endswith(f":1 imports {imported}")


def test_right_imports_are_let_through(tmp_path: Path) -> None:
    package = tmp_path / "cvsim"
    (package / "reports").mkdir(parents=True)
    (package / "__init__.py").write_text("from cvsim.reports import html\n", encoding="utf-8")
    lines = ("import numpy", "from cvsim._version import __version__", "from cvsim.types import Pair")
    source = "\n".join([*lines, "from . import csv", ""])
    (package / "reports" / "html.py").write_text(source, encoding="utf-8")
    (package / "reports" / "csv.py").write_text("from cvsim.stores import base\n", encoding="utf-8")
    assert upward_imports(package) == []
