"""Everything cvsim raises on purpose.

CvsimError
├── UsageError            the call is wrong: an unknown name, a path that does not exist (exit code 2)
│   └── SettingsError     a profile, a configuration file or an option's value
├── ImageError            one picture cannot be used; in a batch it becomes a ``Skipped``
│   ├── NotAnImageError   the content is no picture in any known format
│   ├── DecodeError       the content is a picture that cannot be decoded
│   └── TooLargeError     more pixels or bytes than the limits allow
│       └── MemoryNotAllowedError  more memory than this run allows
├── StoreError            a cache or an index: locked, full, damaged, of another version
│   ├── DamagedStoreError what was kept is lost or is not what was put
│   └── WrongStoreError   the file is something else than the store that was asked for
├── MissingExtraError     an optional dependency is not installed; names the extra
├── ActionError           a plan or a journal cannot be carried out
└── RemoteError           a URL, a server, an engine
    └── FetchError        a URL that gave no picture; says whether another try may help

Each message says what happened and what to do about it. Foreign errors are mapped where they enter,
``from exc``.
"""

from __future__ import annotations

from typing import ClassVar


class CvsimError(Exception):
    """Base of every error that cvsim raises on purpose."""


class UsageError(CvsimError):
    """The call itself is wrong; nothing was done."""


class SettingsError(UsageError):
    """A profile, a configuration file or the value of an option is wrong."""


class ImageError(CvsimError):
    """One picture cannot be used. ``str(error)`` is a reason that a person understands."""


class NotAnImageError(ImageError):
    """The content is no picture in any format that is known here."""

    REASON: ClassVar[str] = "not an image"
    """The usual message; a batch tells by it the files that nobody took for pictures."""

    FILM: ClassVar[str] = "a video, not an image"
    """The message for films, which nobody takes for damaged pictures either."""

    def __init__(self, message: str = REASON) -> None:
        super().__init__(message)


class DecodeError(ImageError):
    """The content is a picture, but not one that can be decoded."""


class TooLargeError(ImageError):
    """The picture has more pixels or bytes than the limits allow."""


class MemoryNotAllowedError(TooLargeError):
    """Decoding would take more memory than is allowed in this run: another one may allow more."""


class StoreError(CvsimError):
    """A cache or an index cannot be used: locked, full, damaged, or of another version."""


class WrongStoreError(StoreError):
    """The file is no store of the kind that was asked for: another program's, or another version's.

    Nothing was changed in it. Going on without it would hide a mistake in the command.
    """


class DamagedStoreError(StoreError):
    """What a store holds is not what was put there, or was lost: a run that uses it must begin again."""


class MissingExtraError(CvsimError):
    """An optional dependency is not installed.

    Parameters
    ----------
    what : str
        What was asked for, as a person would say it: ``"HEIC files"``.
    extra : str
        The extra that brings it: ``"heif"``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} need an optional part: pip install 'cvsim[{extra}]'")
        self.what = what
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.what, self.extra)  # errors travel between processes


class ActionError(CvsimError):
    """A plan or a journal cannot be carried out."""


class RemoteError(CvsimError):
    """A URL, a server or an engine did not answer as it should."""


class FetchError(RemoteError):
    """A URL that could not be fetched.

    Attributes
    ----------
    retryable : bool
        Whether the same might work later: no answer, a timeout, a server that is busy.
    after_s : float or None
        How long the server asked to be left alone.
    unreachable : bool
        No connection could be made: the host's other URLs will do no better now.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        after_s: float | None = None,
        unreachable: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable, self.after_s, self.unreachable = retryable, after_s, unreachable
