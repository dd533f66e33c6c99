"""Whether a journal is this user's own: each line is signed with a key that nobody else has.

``undo`` obeys a journal, and a journal is a file that anybody can write. So each line carries, as its last
member, an HMAC-SHA256 (RFC 2104) over the code of the line before it and over its own text. A line that was
changed, added, taken out or moved breaks the chain. Only lines at the very end can be missing unnoticed, as
after a crash: what they said is then found out from the disk.

The key is 32 random bytes in the user's data folder, made when the first journal is.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat

import platformdirs

from cvsim.errors import ActionError
from cvsim.files import write_all
from cvsim.names import printable

_KEY_BYTES = 32
_PURPOSE = b"cvsim.journal\0"
_SIGNED = re.compile(rb'(\{.*), "mac": "([0-9a-f]{64})"\}', re.DOTALL)
_BEFORE_THE_FIRST = bytes(hashlib.sha256().digest_size)


class Chain:
    """The codes of a journal's lines, one following from the other.

    Parameters
    ----------
    key : bytes
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._last = _BEFORE_THE_FIRST

    def signed(self, line: bytes) -> bytes:
        """A line, a JSON object that is not empty, with its code; `follow` it once it is written."""
        return line[:-1] + b', "mac": "' + self._code(line).hex().encode() + b'"}'

    def follow(self, line: bytes) -> bool:
        """Take in the next signed line; False if its code is not the one that belongs there."""
        parts = _SIGNED.fullmatch(line)
        if parts is None:
            return False
        code = self._code(parts[1] + b"}")
        if not hmac.compare_digest(code.hex().encode(), parts[2]):
            return False
        self._last = code
        return True

    def _code(self, line: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + self._last + line, "sha256")


def chain_of(data: bytes) -> Chain | None:
    """The chain of a journal's whole lines, to be gone on with; None if they are not this user's own."""
    key = _read_key()
    if key is None:
        return None
    chain = Chain(key)
    return chain if all(chain.follow(line) for line in data.split(b"\n")[:-1]) else None


def new_chain() -> Chain:
    """The chain of a journal without a line; makes the user's key if there is none.

    Raises
    ------
    ActionError
        The key cannot be made or read, or others can read it.
    """
    key = _read_key()
    if key is None:
        _make_key()
        key = _read_key()
    if key is None:
        raise ActionError(f"The key of your journals, {printable(key_path())}, has just been removed")
    return Chain(key)


def key_path() -> str:
    """Where the user's key lies."""
    return os.path.join(platformdirs.user_data_dir("cvsim"), "journal.key")


def _read_key() -> bytes | None:
    """The user's key, or None if there is none."""
    path = key_path()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise ActionError(_unusable(f"cannot be read ({exc.strerror})")) from exc
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise ActionError(_unusable("is no file of yours"))
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            # Not repaired in silence: whoever could read it can have signed journals since.
            raise ActionError(_unusable("is open to others"))
        key = os.read(fd, _KEY_BYTES + 1)
    except OSError as exc:
        raise ActionError(_unusable(f"cannot be read ({exc.strerror})")) from exc
    finally:
        os.close(fd)
    if len(key) != _KEY_BYTES:
        raise ActionError(_unusable("is damaged"))
    return key


def _unusable(why: str) -> str:
    return (
        f"The key of your journals, {printable(key_path())}, {why}; remove it: a new one is made, and "
        "undoing an earlier journal takes --trust"
    )


def _make_key() -> None:
    """Make the key, whole or not at all; one that another process makes at the same time wins."""
    path = key_path()
    draft = f"{path}.{secrets.token_hex(4)}.part"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, secrets.token_bytes(_KEY_BYTES))
            os.fsync(fd)
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            os.close(fd)
            os.unlink(draft)
    except OSError as exc:
        raise ActionError(
            f"The key of your journals, {printable(path)}, cannot be made ({exc.strerror}); "
            "let XDG_DATA_HOME name a folder of yours"
        ) from exc
