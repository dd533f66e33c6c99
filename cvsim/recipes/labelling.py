"""Names of files in lists and in files of labels, and the label of each file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cvsim.errors import UsageError
from cvsim.groups.evaluation import plain_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.images.scan import Scan


def names_of(found: Sequence[tuple[str, str]], roots: Collection[str]) -> dict[str, str]:
    """Names of files in labels and lists, by path: relative to PATH, or of several to their common parent.

    Parameters
    ----------
    found : sequence of (path, root)
        Each file with the PATH that it was found by.
    roots : collection of str
        Every PATH.
    """
    parent = None
    if len(roots) > 1:
        folders = [root if os.path.isdir(root) else os.path.dirname(root) or "." for root in sorted(roots)]
        try:
            parent = os.path.commonpath([os.path.abspath(folder) for folder in folders])
        except ValueError:  # of several drives: whole paths are as short as can be
            return {path: os.path.abspath(path).replace(os.sep, "/") for path, _ in found}
    return {path: _relative(path, root, parent) for path, root in found}


def _relative(path: str, root: str, parent: str | None) -> str:
    if parent is not None:
        relative = os.path.relpath(os.path.abspath(path), parent)
    else:
        relative = os.path.relpath(path, root) if path != root else os.path.basename(path)
    return relative.replace(os.sep, "/")


def labels_for(
    files: Sequence[str],
    given: Mapping[str, str] | NDArray[Any] | None,
    name: str = "labels",
    paths: Sequence[str] = (),
) -> list[str]:
    """One label a file, or (None) the folder that each file is in.

    Files that a mapping does not name have the label "": they are not used.

    Parameters
    ----------
    files : sequence of str
    given : mapping of file to label, (n,) array in the order of the files, or None
        Of an array of integers, a negative one is no label.
    name : str
        What to call the labels in a message.
    paths : sequence of str
        The files as they can be opened, for labels that name them so.

    Raises
    ------
    UsageError
        The labels name a file that is not there, or do not fit the files in number.
    """
    if given is None:
        found = [PurePosixPath(file).parent.as_posix() for file in files]
        if "." in found:
            raise UsageError(
                f"{files[found.index('.')]} lies in no folder of its product: give --labels FILE, or one "
                "folder a product"
            )
        return found
    if not isinstance(given, Mapping):
        if len(given) != len(files):
            raise UsageError(
                f"{name} has {len(given)} labels and there are {len(files)} pictures, in path order"
            )
        return ["" if isinstance(label, int) and label < 0 else str(label) for label in given.tolist()]
    given = _as_listed(given, files, paths)
    _require_there(given, dict(zip(paths or files, files, strict=True)), name)
    found = [given.get(file, "") for file in files]
    return ["" if label == "-1" else label for label in found]


def require_named(found: Scan, given: Mapping[str, str] | None, roots: Collection[str]) -> None:
    """Refuse labels of files that a scan did not find.

    Raises
    ------
    UsageError
        A file is not there; it says so with the folder that would fit, where there is one.
    """
    if given is None:
        return
    names = names_of([(entry.path, entry.root) for entry in found.files], roots)
    _require_there(_as_listed(given, list(names.values()), list(names)), names, "labels")


def _require_there(given: Mapping[str, str], names: Mapping[str, str], what: str) -> None:
    missing = sorted(given.keys() - set(names.values()))
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        folder = _folder_that_fits(missing, list(names))
        hint = "" if folder is None else f"; they are under {folder}: give that as PATH"
        raise UsageError(f"{what} labels {len(missing)} files that are not there: {shown}{hint}")


def _folder_that_fits(missing: Sequence[str], paths: Sequence[str]) -> str | None:
    """The folder under which every missing file has the name that labels give it."""
    for path in paths:
        whole = os.path.abspath(path)
        if whole.replace(os.sep, "/").endswith("/" + missing[0]):
            folder = whole[: -len(missing[0]) - 1] or os.sep
            if all(os.path.exists(os.path.join(folder, name)) for name in missing):
                return folder if os.path.isabs(path) else os.path.relpath(folder)
    return None


def _as_listed(given: Mapping[str, str], files: Sequence[str], paths: Sequence[str]) -> Mapping[str, str]:
    """Labels by the names that the files have here: ``./x.jpg``, absolute and with backslashes, too."""
    known = set(files)
    by_path = {os.path.abspath(path): file for path, file in zip(paths, files, strict=True)} if paths else {}
    found = {}
    for name, label in given.items():
        slashed = plain_path(name.replace("\\", "/"))
        names = (name, plain_path(name), slashed, by_path.get(os.path.abspath(name), name))
        file = next((one for one in names if one in known), name)
        if file in found:
            raise UsageError(f"{file!r} is labelled twice, once as {name!r}")
        found[file] = label
    return found


def labels_in_order(given: Mapping[str, str] | NDArray[Any], n: int, name: str = "labels") -> list[str]:
    """Labels of the rows of an array; those of a mapping are taken in the order of their files' paths."""
    if len(given) != n:
        raise UsageError(f"{name} has {len(given)} labels and the features have {n} rows")
    if isinstance(given, Mapping):
        return [given[file] for file in sorted(given)]
    return [str(label) for label in given.tolist()]
