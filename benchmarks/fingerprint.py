"""Which code was measured."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def code_fingerprint() -> str:
    """Changes with any line of cvsim or of its models: results of other code are not taken for this one's."""
    spec = find_spec("cvsim")
    if spec is None or spec.origin is None:
        raise SystemExit("cvsim is not importable here: install it, or put it on PYTHONPATH")
    package = Path(spec.origin).parent
    digest = hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), *package.glob("models/*")]):
        digest.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
