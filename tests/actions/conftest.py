from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def mount(*arguments: str) -> None:
    """Mount something, or skip the test with the reason."""
    if os.geteuid() != 0:
        pytest.skip("mounting a filesystem takes root")
    result = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"mount {' '.join(arguments)}: {result.stderr.strip()}")


def unmount(path: Path) -> None:
    subprocess.run(["umount", str(path)], check=False, capture_output=True)


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Where there is such a thing: the tests that sync thousands of times end sooner."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="cvsim-test-", dir=base))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def memory() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: its trash and its list of journals are not the user's."""
    return use_home(tmp_path_factory.mktemp("home"), monkeypatch)


def use_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from send2trash import plat_other

    for name, value in home_variables(home).items():
        monkeypatch.setenv(name, value)
    data = os.fsencode(home / "data")
    monkeypatch.setattr(plat_other, "XDG_DATA_HOME", data)
    monkeypatch.setattr(plat_other, "HOMETRASH_B", os.path.join(data, b"Trash"))
    return home


def home_variables(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_STATE_HOME": str(home / "state")}


@pytest.fixture(scope="session")
def reflink_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A mounted filesystem whose files can share blocks."""
    if os.geteuid() != 0:
        pytest.skip("a filesystem with reflinks is loop-mounted, which takes root")
    makers = (["mkfs.xfs", "-q", "-m", "reflink=1"], ["mkfs.btrfs", "-q"])
    maker = next((one for one in makers if shutil.which(one[0])), None)
    if maker is None:
        pytest.skip("reflinks need mkfs.xfs or mkfs.btrfs (Debian: xfsprogs, btrfs-progs)")
    place = tmp_path_factory.mktemp("reflink")
    with folder_in_memory() as folder:
        image = folder / "disk"
        with image.open("wb") as stream:
            stream.truncate(320 << 20)
        subprocess.run([*maker, "-f", str(image)], check=True, capture_output=True)
        mount("-o", "loop", str(image), str(place))
        yield place
        unmount(place)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Another filesystem, of 64 KiB."""
    place = tmp_path / "small disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place))
    yield place
    unmount(place)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """Another filesystem with room."""
    place = tmp_path / "other disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place))
    yield place
    unmount(place)
