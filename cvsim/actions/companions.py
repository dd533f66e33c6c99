"""What becomes of the companions of a picture that is to go; see `cvsim.actions.beside` for what they are.

- A companion whose bytes also lie beside a kept file of the group is a copy like the
  picture is: it goes with it, whatever the action.
- Otherwise a **sidecar** or a **film** goes with its picture to the trash or the folder of ``move``, from
  where it comes back with it; under ``delete`` it protects the picture, which then stays.
- Otherwise a **raw** protects the picture: the pair is one exposure, and half of it is not a copy.
- Links (``hardlink``, ``symlink``, ``reflink``) leave the picture's name in place, so nothing happens.

What belongs to several pictures stays as long as one of them does, and protects none. A companion that the
plan itself removes protects nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence

from cvsim.actions.beside import Companion, CompanionFinder
from cvsim.actions.filesystem import FolderTree, RefusedError
from cvsim.names import printable

_PROTECTS = {
    "sidecar": "its sidecar {name} would be lost with it; trash or move it",
    "film": "the film of its Live Photo, {name}, would be lost with it; trash or move it",
    "raw": "it is one exposure with {name}, of which the kept file has no copy",
}


class Companions:
    """Decides which companions go with a picture that goes.

    Parameters
    ----------
    tree : FolderTree
    leaving, staying : collection of str
        Absolute paths that a plan removes, and those that it names but does not.
    own_files : collection of str
        Absolute paths of cvsim's own files, which are nobody's sidecars.
    go_along : bool
        The action is one from which they come back: trash or move.
    """

    def __init__(
        self,
        tree: FolderTree,
        leaving: Collection[str],
        staying: Collection[str],
        own_files: Collection[str],
        go_along: bool,
    ) -> None:
        self._tree = tree
        self._leaving, self._staying = leaving, staying
        self._own_files, self._go_along = own_files, go_along
        self._companions = CompanionFinder()

    def going_with(self, path: str, kept: Sequence[str]) -> list[Companion]:
        """The companions that go with a picture.

        Raises
        ------
        RefusedError
            One of them protects the picture.
        """
        everything = self._relevant(path, self._leaving)
        raws = [one for one in everything if one.kind == "raw" and not one.shared]
        vouching = raws or (everything and not self._go_along)
        own = {one.path for one in everything}  # no companion vouches for itself
        twins = {twin for other in kept for twin in self._contents(other, own)} if vouching else set()
        self._refuse_any_but(twins, raws)
        # A raw half that goes lays no claim to the sidecar that both share.
        if raws:
            everything = self._relevant(path, {*self._leaving, *(one.path for one in raws)})
        others = [one for one in everything if one.kind != "raw" and not one.shared]
        if not self._go_along:
            self._refuse_any_but(twins, others)
        return [*raws, *others]

    def _relevant(self, path: str, leaving: Collection[str]) -> list[Companion]:
        return [
            one
            for one in self._companions.of(path, leaving)
            if one.path not in self._leaving and one.path not in self._own_files and os.path.lexists(one.path)
        ]

    def _refuse_any_but(self, twins: Collection[tuple[str, str]], companions: Iterable[Companion]) -> None:
        for one in companions:
            if one.path in self._staying or (one.kind, self._digest(one.path)) not in twins:
                raise RefusedError(_PROTECTS[one.kind].format(name=printable(os.path.basename(one.path))))

    def _contents(self, path: str, but: Collection[str]) -> Iterator[tuple[str, str]]:
        """Kind and digest of each companion of a kept picture."""
        for one in self._companions.of(path):
            if one.path in but:
                continue
            with contextlib.suppress(RefusedError):
                yield one.kind, self._digest(one.path)

    def _digest(self, path: str) -> str:
        with self._tree.open_checked(path, None) as file:
            return file.digest
