"""What the package imports is declared, and what is declared is imported; `cvsim info` knows all of it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from cvsim.cli import info
from cvsim.cli.group import cvsim

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

MODULES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "grpc": "grpcio",
    "milvus_lite": "milvus-lite",
    "opensearchpy": "opensearch-py",
    "pillow_heif": "pillow-heif",
    "python_multipart": "python-multipart",
    "pillow_jxl": "pillow-jxl-plugin",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose distribution has another name."""


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def declared() -> dict[str, list[str]]:
    """Distributions by extra; those of the core under ``""``."""
    extras = PROJECT["optional-dependencies"]
    lists = {"": PROJECT["dependencies"], **{name: extras[name] for name in extras if name != "test"}}
    return {extra: sorted(map(name_of, requirements)) for extra, requirements in lists.items()}


def imported() -> set[str]:
    """Distributions of all top-level modules that the package imports, wherever the import stands."""
    found = set()
    for path in (ROOT / "cvsim").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in {"import_module", "find_spec", "optional_module"}:
                    names = [str(node.args[0].value)]
            found |= {name.partition(".")[0] for name in names}
    found -= {*sys.stdlib_module_names, "cvsim"}
    return {MODULES.get(module, module) for module in found}


def test_what_is_imported_is_declared() -> None:
    names = {name for extra in declared().values() for name in extra}
    assert sorted(imported() - names) == []


@pytest.mark.parametrize("extra", sorted(declared()))
def test_what_is_declared_is_imported(extra: str) -> None:
    assert sorted(set(declared()[extra]) - imported()) == []


def test_what_the_core_needs_is_in_no_extra() -> None:
    core = set(declared()[""])
    assert {extra for extra, names in declared().items() if extra and core & set(names)} == set()


def test_info_without_an_installation_knows_what_the_project_declares() -> None:
    wanted = declared()
    assert sorted(info._CORE) == wanted.pop("")
    assert {extra: sorted(names) for extra, (names, _) in info._EXTRAS.items()} == wanted


@pytest.mark.parametrize("installed", [True, False])
def test_info_says_of_every_extra_whether_it_is_installed(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(distribution: str) -> str | None:
        return None if distribution == "numba" else "1.0"

    def nothing(name: str) -> None:
        raise info.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(info, "_version", version)
    if not installed:
        monkeypatch.setattr(info.importlib.metadata, "metadata", nothing)
    text = CliRunner().invoke(cvsim, ["info"], catch_exceptions=False).stdout
    for extra in set(declared()) - {""}:
        (line,) = (line for line in text.splitlines() if re.match(rf"extra +{extra}\b", line))
        assert ("not installed: pip install 'cvsim[fast]'" in line) == (extra == "fast")
