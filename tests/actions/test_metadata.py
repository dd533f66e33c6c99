from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from photo_library import entry, jpeg, snapshot, write
from PIL import Image

from cvsim.actions.apply import apply_plan
from cvsim.actions.filesystem import RefusedError
from cvsim.actions.metadata import Capture, add_capture, read_capture
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import SettingsError
from cvsim.images.decode import decode, pixel_digest

DATE, GPS_IFD, EXIF_IFD = "2019:05:06 07:08:09", 0x8825, 0x8769
XMP_NAMESPACES = (
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
)


def exif_block(
    *, date: str | None = DATE, position: bool = True, order: str = "<", note: bytes = b""
) -> bytes:
    """EXIF as a camera writes it, by Pillow; `note` is a maker note."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "Maker of cameras"
    exif[0x0112] = 6
    inner: dict[int, object] = {}
    if date:
        inner |= {0x9003: date, 0x9011: "+02:00"}
    if note:
        inner[0x927C] = note
    if inner:
        exif[EXIF_IFD] = inner
    if position:
        exif[GPS_IFD] = {1: "N", 2: (48.0, 12.0, 30.5), 3: "E", 4: (16.0, 22.0, 15.25)}
    return exif.tobytes()


def encoded(format: str, seed: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg(seed))).save(buffer, format, **options)
    return buffer.getvalue()


def independent(data: bytes) -> tuple[object, object, object]:
    """Date, latitude and maker by Pillow's reader."""
    exif = Image.open(io.BytesIO(data)).getexif()
    return exif.get_ifd(EXIF_IFD).get(0x9003), exif.get_ifd(GPS_IFD).get(2), exif.get(0x010F)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "kept",
    [
        jpeg(1),
        jpeg(1, exif=exif_block(date=None, position=False)),
        jpeg(1, exif=exif_block(date=None, position=False, order=">")),
        encoded("png"),
        encoded("png", exif=exif_block(date=None, position=False)),
    ],
    ids=["jpeg", "jpeg with exif", "jpeg with big-endian exif", "png", "png with exif"],
)
def test_date_and_position_come_over_and_nothing_else_changes(kept: bytes, order: str) -> None:
    capture = read_capture(jpeg(2, exif=exif_block(order=order)))
    splice = add_capture(kept, capture)
    after = splice.apply(kept)

    date, latitude, maker = independent(after)
    assert (date, latitude) == (DATE, (48.0, 12.0, 30.5))
    assert maker == independent(kept)[2]
    seen = decode(after, longest_px=100)
    assert (seen.taken_at, seen.has_gps) == ("2019-05-06T07:08:09", True)
    assert pixel_digest(after) == pixel_digest(kept)
    assert splice.reversed().apply(after) == kept
    rest = len(kept) - splice.offset - len(splice.removed)
    assert after[-rest:] == kept[-rest:]
    assert after[: splice.offset] == kept[: splice.offset]


def test_maker_notes_keep_their_offsets() -> None:
    note = bytes(range(256)) * 4
    block = exif_block(date=None, position=False, note=note)
    kept = jpeg(1, exif=block)
    after = add_capture(kept, read_capture(jpeg(2, exif=exif_block()))).apply(kept)
    assert after.index(note) - after.index(b"Exif\0\0") == kept.index(note) - kept.index(b"Exif\0\0")
    assert Image.open(io.BytesIO(after)).getexif().get_ifd(EXIF_IFD)[0x927C] == note


def test_only_what_is_lacking_comes_over() -> None:
    donor = read_capture(jpeg(2, exif=exif_block()))
    kept = jpeg(1, exif=exif_block(date="2001:01:01 00:00:00", position=False))
    lacking = donor.lacking_in(read_capture(kept))
    assert (lacking.has_date, lacking.has_position) == (False, True)
    after = add_capture(kept, lacking).apply(kept)
    assert independent(after)[0] == "2001:01:01 00:00:00"
    assert not donor.lacking_in(read_capture(after))


@pytest.mark.parametrize("form", ["attribute", "element"])
def test_xmp_is_read_where_there_is_no_exif(form: str) -> None:
    fields = {
        "exif:DateTimeOriginal": "2019-05-06T07:08:09+02:00",
        "exif:GPSLatitude": "48,12.5N",
        "exif:GPSLongitude": "16,22,15E",
    }
    if form == "attribute":
        inner = "<rdf:Description " + " ".join(f'{key}="{value}"' for key, value in fields.items()) + "/>"
    else:
        inner = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    xmp = f"<x:xmpmeta {XMP_NAMESPACES}>{inner}</x:xmpmeta>".encode()
    capture = read_capture(encoded("jpeg", xmp=xmp))
    kept = jpeg(1)
    date, latitude, _ = independent(add_capture(kept, capture).apply(kept))
    assert (date, latitude) == (DATE, (48.0, 12.5, 0.0))


def test_other_formats_and_blocks_that_grow_too_large_are_refused() -> None:
    capture = read_capture(jpeg(2, exif=exif_block()))
    with pytest.raises(RefusedError, match="JPEG and PNG"):
        add_capture(encoded("webp"), capture)
    full = jpeg(1, exif=exif_block(date=None, position=False, note=bytes(65_350)))
    with pytest.raises(RefusedError, match="larger than"):
        add_capture(full, capture)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", jpeg(1)[:40], b"MM\0*" + bytes(100), b"GIF89a"])
def test_garbage_has_no_capture(data: bytes) -> None:
    assert read_capture(data) == Capture()
    assert not read_capture(jpeg(1, exif=b"Exif\0\0II*\0" + struct.pack("<IH", 8, 60_000) + bytes(50)))


def test_apply_carries_and_undo_takes_back(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    kept = write(root / "kept.jpg", jpeg(1, 95), age=5, mode=0o640)
    dated = write(root / "dated.jpg", jpeg(1, 90, exif_block(position=False)))
    placed = write(root / "placed.jpg", jpeg(1, 85, exif_block()))
    webp_kept = write(root / "kept.webp", encoded("webp", 3))
    protected = write(root / "z.jpg", jpeg(3, 90, exif_block()))
    entries = [entry(kept, 1, "keep"), entry(dated, 1, "remove"), entry(placed, 1, "remove")]
    entries += [entry(webp_kept, 2, "keep"), entry(protected, 2, "remove")]
    plan = Plan((str(root),), tuple(entries))
    before = snapshot(root)
    journal = str(tmp_path / "journal")

    applied = apply_plan(plan, "trash", journal, carry_metadata=True)

    assert [one.status for one in applied.outcomes] == ["done", "done", "skipped"]
    assert "JPEG and PNG files only" in applied.outcomes[2].reason
    assert independent(kept.read_bytes())[:2] == (DATE, (48.0, 12.0, 30.5))
    assert kept.stat().st_mtime_ns == before["kept.jpg"].mtime_ns
    assert pixel_digest(kept.read_bytes()) == pixel_digest(jpeg(1, 95))
    assert apply_plan(plan, "trash", journal).count("already") == 2
    late = write(root / "late.jpg", jpeg(1, 95))
    linked = Plan(plan.roots, (entry(kept, 1, "keep", jpeg(1, 95)), entry(late, 1, "remove")))
    assert "bytes differ" in apply_plan(linked, "hardlink", journal).outcomes[0].reason
    late.unlink()

    assert undo_journal(journal).count("skipped") == 0
    assert snapshot(root) == before


def test_a_date_whose_file_is_gone_for_good_stays(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    kept, dated = write(root / "k.jpg", jpeg(1, 95)), write(root / "d.jpg", jpeg(1, 90, exif_block()))
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(dated, 1, "remove")))
    journal = str(tmp_path / "journal")
    with pytest.raises(SettingsError, match="no metadata"):
        apply_plan(plan, "hardlink", journal, carry_metadata=True)
    apply_plan(plan, "delete", journal, carry_metadata=True)
    undone = undo_journal(journal)
    assert "which is not back" in undone.outcomes[-1].reason
    assert independent(kept.read_bytes())[0] == DATE


@pytest.mark.parametrize("n_changes", range(13))
@pytest.mark.parametrize("follow", ["undo", "apply"])
def test_cut_short_anywhere(n_changes: int, follow: str, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    kept = write(root / "kept.jpg", jpeg(1, 95), mode=0o640)
    dated = write(root / "dated.jpg", jpeg(1, 90, exif_block()))
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(dated, 1, "remove")))
    before = snapshot(root)
    journal = str(tmp_path / "journal")

    def cut(countdown: list[int]) -> Callable[[str], None]:
        def checkpoint(_word: str) -> None:
            countdown[0] -= 1
            if countdown[0] < 0:
                raise KeyboardInterrupt

        return checkpoint

    with contextlib.suppress(KeyboardInterrupt):
        apply_plan(plan, "trash", journal, carry_metadata=True, checkpoint=cut([n_changes]))
    if follow == "apply":
        assert apply_plan(plan, "trash", journal, carry_metadata=True).count("skipped") == 0
        assert independent(kept.read_bytes())[0] == DATE
        assert pixel_digest(kept.read_bytes()) == pixel_digest(jpeg(1, 95))
    with contextlib.suppress(KeyboardInterrupt):
        undo_journal(journal, checkpoint=cut([n_changes]))
    assert undo_journal(journal).count("skipped") == 0
    assert snapshot(root) == before
