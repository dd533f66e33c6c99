from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from surroundings import folder_in_memory, mount, unmount, use_home


@pytest.fixture
def memory() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: its trash and its list of journals are not the user's."""
    return use_home(tmp_path_factory.mktemp("home"), monkeypatch)


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
