"""Whether one file can go while another one stays: both ways, for files of every kind."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import numpy as np
import pytest
from generate import scene
from kinds_of_files import MORE, SIZE, cut_out, encoded, jpeg, picture, profile
from PIL import Image

from cvsim.executors.local import LocalExecutor
from cvsim.images.encoded import read_content
from cvsim.images.holdings import with_alpha
from cvsim.proof.grids import find_orientation
from cvsim.proof.history import was_made_from, was_once_coarse
from cvsim.proof.holds import holdings_of_content
from cvsim.proof.picture import ProofPicture, proof_picture
from cvsim.proof.prove import File, FileRef, prove, prove_pair
from cvsim.reading.identity import IdentityJob
from cvsim.stores import MemoryStore
from cvsim.types import Proof

pytest.importorskip("pillow_heif", reason="needs the extra 'heif'").register_heif_opener()


def file(path: Path, data: bytes) -> File:
    path.write_bytes(data)
    content = read_content(str(path))
    holdings, may_have_alpha = holdings_of_content(content)
    if may_have_alpha and content.data is not None:
        holdings = with_alpha(holdings, content.data, content.format)
    return File(content, holdings)


@pytest.fixture
def proof(tmp_path: Path):  # type: ignore[no-untyped-def]
    def ask(copy: tuple[str, bytes], kept: tuple[str, bytes]) -> Proof:
        return prove_pair(
            file(tmp_path / f"copy{copy[0]}", copy[1]), file(tmp_path / f"kept{kept[0]}", kept[1])
        )

    return ask


@pytest.mark.parametrize("kind", MORE)
def test_what_holds_more_stays_and_what_holds_less_may_go(kind: str, proof) -> None:  # type: ignore[no-untyped-def]
    ending, make, other_ending, less = MORE[kind]
    more = ending, make(0)
    assert proof(more, (other_ending, less())).state == "holds-more"
    back = proof((other_ending, less()), more)
    assert back.is_enough or kind in ("gif", "avif", "heic", "heic film"), (
        back
    )  # lossy: the still may be finer


@pytest.mark.parametrize("kind", MORE)
def test_what_holds_something_else_stays_both_ways(kind: str, proof) -> None:  # type: ignore[no-untyped-def]
    ending, make, _, _ = MORE[kind]
    one, other = (ending, make(0)), (ending, make(1))
    if kind == "gain map":
        other = ending, one[1].replace(b"Version='1.0'", b"Version='1.1'")
    for pair in ((one, other), (other, one)):
        assert not proof(*pair).is_enough, kind


@pytest.mark.parametrize(
    ("kind", "options"),
    [("gif", {}), ("apng", {}), ("webp", {}), ("pages", {"compression": "tiff_deflate"})],
)
def test_the_same_frames_in_another_file_are_the_same_pixels(kind: str, options: dict, proof) -> None:  # type: ignore[no-untyped-def,type-arg]
    ending, make, _, _ = MORE[kind]
    data = make(0)
    if kind == "pages":
        with Image.open(io.BytesIO(data)) as image:
            frames = []
            for k in range(3):
                image.seek(k)
                frames.append(image.copy())
        again = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], **options)
    else:
        again = data + b"\0" * 7
    assert again != data
    assert proof((ending, again), (ending, data)).state in ("same-pixels", "explained")


def test_pixels_of_equal_values_under_another_profile_are_others(proof) -> None:  # type: ignore[no-untyped-def]
    plain, swapped = jpeg(), jpeg(icc_profile=profile())
    assert proof((".jpg", swapped), (".jpg", plain)).state == "holds-more"
    assert proof((".jpg", plain), (".jpg", swapped)).state == "differs"


def test_a_png_made_from_a_jpeg_is_the_same_pixels(proof) -> None:  # type: ignore[no-untyped-def]
    from cvsim.images.decode import decode_full

    data = jpeg()
    png = encoded(Image.fromarray(decode_full(data)), "PNG")
    assert proof((".png", png), (".jpg", data)).state == "same-pixels"
    assert proof((".jpg", data), (".png", png)).state == "same-pixels"


def test_metadata_alone_make_no_other_pixels(proof) -> None:  # type: ignore[no-untyped-def]
    data = jpeg()
    commented = data[:2] + b"\xff\xfe\0\x06note" + data[2:]
    assert proof((".jpg", commented), (".jpg", data)).state == "same-pixels"


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("padding", [0, 500])
def test_a_cut_off_copy_of_an_intact_file_may_go(share: float, padding: int, proof) -> None:  # type: ignore[no-untyped-def]
    data = jpeg()
    cut = data[: int(share * len(data))] + bytes(padding)
    assert proof((".jpg", cut), (".jpg", data)).is_enough


def test_transparency_that_differs_is_seen(proof) -> None:  # type: ignore[no-untyped-def]
    one, other = (encoded(cut_out(seed), "PNG") for seed in (0, 1))
    assert proof((".png", one), (".png", other)).state == "differs"
    again = encoded(cut_out(0), "PNG", optimize=True, compress_level=1)
    assert proof((".png", again), (".png", one)).state == "same-pixels"
    assert proof((".webp", encoded(cut_out(0), "WEBP", lossless=True, exact=True)), (".png", one)).is_enough


def test_a_larger_flat_copy_stays_beside_the_cut_out(proof) -> None:  # type: ignore[no-untyped-def]
    flat = Image.new("RGB", SIZE, "white")
    flat.paste(cut_out(), mask=cut_out())
    larger = encoded(flat.resize((SIZE[0] * 2, SIZE[1] * 2)), "PNG")
    found = proof((".png", larger), (".png", encoded(cut_out(), "PNG")))
    assert (found.state, found.words) == ("holds-more", "more pixels")


def test_proofs_are_remembered_by_both_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for path, quality in zip(paths, (90, 60), strict=True):
        path.write_bytes(jpeg(quality))
    contents = [read_content(str(path)) for path in paths]
    refs = [FileRef(one.path, one.digest) for one in contents]
    holdings = {one.digest: holdings_of_content(one)[0] for one in contents}
    with MemoryStore() as store, LocalExecutor(1) as executor:
        first = prove([(refs[1], refs[0])], holdings, store, executor)
        for path in paths:
            path.unlink()
        assert prove([(refs[1], refs[0])], holdings, store, executor) == first
        (found,) = first.values()
        assert found.state == "explained"
        unknown = prove([(refs[0], refs[1])], holdings, store, executor)
        assert {one.state for one in unknown.values()} == {"not-tried"}
        assert prove([(refs[0], FileRef("x", "0" * 64))], holdings, store, executor) == {
            (refs[0].digest, "0" * 64): Proof("not-tried", words="it cannot be read any more")
        }


def test_files_of_equal_code_are_not_read_again_and_their_proofs_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jpeg()
    commented = data[:2] + b"\xff\xfe\0\x06note" + data[2:]
    files = [data, commented, data + b"more", data + b"other", data + bytes(9), data[:-40], jpeg(60)]
    files += [commented.replace(b"note", b"othr", 1), commented + bytes(5), data[: len(data) // 2]]
    contents = []
    for number, content in enumerate(files):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        contents.append(read_content(str(path)))
    refs = [FileRef(one.path, one.digest, len(one.data or b"")) for one in contents]
    holdings = {one.digest: holdings_of_content(one)[0] for one in contents}
    pairs = [(copy, kept) for copy in refs for kept in refs if copy != kept]
    job = IdentityJob({ref.path: ref.digest for ref in refs})
    codes = {ref.digest: job.run(one) for ref, one in zip(refs, contents, strict=True)}
    with MemoryStore() as store, LocalExecutor(1) as executor:
        read = prove(pairs, holdings, store, executor)
    with MemoryStore() as store, LocalExecutor(1) as executor:
        assert prove(pairs, holdings, store, executor, codes=codes) == read

    def no_file(*args: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr("cvsim.proof.prove.read_content", no_file)
    with MemoryStore() as store, LocalExecutor(1) as executor:
        known = [(refs[3], refs[2]), (refs[2], refs[0]), (refs[1], refs[0]), (refs[1], refs[7])]
        found = prove(known, holdings, store, executor, codes=codes)
        assert found == {key: read[key] for key in found}
        assert [one.state for one in found.values()] == ["holds-more"] * 2 + ["same-pixels"] * 2
        assert prove(known, holdings, store, executor) == found


def test_boxes_say_where(proof) -> None:  # type: ignore[no-untyped-def]
    pixels = np.asarray(picture()).copy()
    pixels[60:90, 100:140] = (250, 10, 10)
    found = proof((".png", encoded(Image.fromarray(pixels), "PNG")), (".png", encoded(picture(), "PNG")))
    assert found.state == "differs"
    x, y, width, height = found.boxes[0]
    assert x <= 110 <= x + width
    assert y <= 70 <= y + height


def test_a_png_of_a_bad_jpeg_replaces_nothing_that_was_stored_well(proof) -> None:  # type: ignore[no-untyped-def]
    image = Image.fromarray(scene(3, 640, 480))
    good, coarse = encoded(image, "JPEG", quality=95), encoded(image, "JPEG", quality=8)
    disguised = encoded(Image.open(io.BytesIO(coarse)).convert("RGB"), "PNG")
    assert not proof((".jpg", good), (".png", disguised)).is_enough
    again = encoded(Image.open(io.BytesIO(coarse)).convert("RGB"), "JPEG", quality=97)
    assert proof((".png", disguised), (".jpg", coarse)).is_enough
    assert not proof((".jpg", good), (".jpg", again)).is_enough


@pytest.mark.parametrize("quality", [8, 20])
def test_a_hidden_quantisation_is_read_back(quality: int) -> None:
    image = Image.fromarray(scene(3, 640, 480))
    shown = np.asarray(Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality))).convert("RGB"))
    assert was_once_coarse(proof_picture(encoded(Image.fromarray(shown), "PNG")))
    assert not was_once_coarse(proof_picture(encoded(image, "JPEG", quality=quality)))
    assert not was_once_coarse(proof_picture(encoded(image, "PNG")))


@pytest.mark.parametrize("quality", [95, 85, 60])
@pytest.mark.parametrize("transpose", [None, Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT])
def test_which_of_two_jpegs_was_made_from_the_other_is_known(
    quality: int, transpose: Image.Transpose | None
) -> None:
    def made(image: Image.Image) -> ProofPicture:
        laid = image if transpose is None else image.transpose(transpose)
        return proof_picture(encoded(laid, "JPEG", quality=92))

    drawn = Image.fromarray(scene(4, 301, 203))
    first = proof_picture(encoded(drawn, "JPEG", quality=quality))
    second, sibling = made(Image.fromarray(first.rgb)), made(drawn)
    for other in (second, sibling):
        there, back = find_orientation(other.rgb, first.rgb), find_orientation(first.rgb, other.rgb)
        assert there is not None
        assert back is not None
        assert was_made_from(other, first, there) == (other is second)
        assert not was_made_from(first, other, back)


def test_nothing_says_which_of_two_equal_encodings_was_first() -> None:
    first = proof_picture(encoded(Image.fromarray(scene(4, 301, 203)), "JPEG", quality=80))
    again = proof_picture(encoded(Image.fromarray(first.rgb), "JPEG", quality=80))
    assert not (was_made_from(again, first, 0) and was_made_from(first, again, 0))


def test_proofs_made_in_child_processes_are_those_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for number, quality in enumerate([95, *range(30, 90, 5)]):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg(quality))
        contents.append(read_content(str(path)))
    kept, *copies = [FileRef(one.path, one.digest) for one in contents]
    holdings = {one.digest: holdings_of_content(one)[0] for one in contents}
    pairs = [(copy, kept) for copy in copies]
    found = []
    for n_workers, can_have_children in ((1, True), (2, True), (2, False)):
        if not can_have_children:
            monkeypatch.delattr(socket, "send_fds")
        with MemoryStore() as store, LocalExecutor(n_workers) as executor:
            found.append(prove(pairs, holdings, store, executor))
            assert bool(executor._idle) == (n_workers > 1 and can_have_children)
    assert found[0] == found[1] == found[2]
    assert "explained" in {one.state for one in found[0].values()}
