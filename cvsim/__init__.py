"""Find pictures that are the same, on a CPU, and say why.

>>> import cvsim
>>> report = cvsim.dedupe("photos", threshold=0.95)    # doctest: +SKIP
>>> report.to_html("report.html")                      # doctest: +SKIP

The public names are listed once, in ``__init__.pyi``: type checkers read it, and so does this module, when a
name is first used. Importing cvsim costs nothing and changes nothing in the process.
"""

from __future__ import annotations

from cvsim._version import __version__ as __version__

_homes: dict[str, str] = {}


def _home_of() -> dict[str, str]:
    """Each public name and the module that it is imported from."""
    if not _homes:
        import ast
        from pathlib import Path

        stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
        for statement in ast.parse(stub).body:
            if isinstance(statement, ast.ImportFrom) and statement.module:
                _homes.update((alias.name, statement.module) for alias in statement.names)
    return _homes


def __getattr__(name: str) -> object:
    if name == "__all__":
        return __dir__()
    if name.startswith("__") or name not in _home_of():
        raise AttributeError(f"module 'cvsim' has no attribute {name!r}; it has {', '.join(__dir__())}")
    from importlib import import_module

    value = getattr(import_module(_home_of()[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_home_of(), "__version__"])
