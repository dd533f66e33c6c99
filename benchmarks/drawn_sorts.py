#!/usr/bin/env python3
"""Links among pictures of one sort that are all different: forms, bills, receipts, slides, codes, tickets.

    python benchmarks/drawn_sorts.py --work FOLDER [--effort fast --effort default] [--part a|b|c|d|e|f|g]
        [--copies]

Everything is drawn here, from a seed, in seven styles. Parts a and b were looked at when the limits of
`consistency` were chosen; c, light on dark and of other sizes, was drawn when they were fixed, and looked at
with a and b when those of `writing` were chosen. Part d, with four sorts more, was drawn after that.
Part e has three sorts of tables; it was drawn when the limits of cells in `consistency` were fixed, which
were chosen on tables of another style. Part f has four sorts of close lines; it was drawn when it was fixed
from when a picture counts as drawn, and its bingo cards were looked at when the limits of exchanged pieces
were. Part g, positions of one game, was drawn after that. What pictures of a sort share (a letterhead, boxes,
squares in the corner of a code) is no evidence that two of them are the same, so every link is false.
imagehash is shown beside cvsim. With --copies some of them have copies, and the question is how many of these
are proposed for removal.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imagehash
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import cvsim

Part = Literal["a", "b", "c", "d", "e", "f", "g"]
Effort = Literal["fast", "default", "thorough"]
N_EACH = 40
N_COPIED = 8
HASH_RADIUS = 8
WORDS = [
    *("account", "apples", "north", "river", "market", "paper", "table", "lamp", "chair", "green", "valley"),
    *("orange", "stone", "bridge", "winter", "summer", "ledger", "amount", "service", "repair", "hours"),
    *("travel", "client", "order", "number", "street", "city", "phone", "note", "delivery", "window"),
    *("garden", "metal", "copper", "silver", "plastic", "cotton", "linen", "wool"),
]


@dataclass(frozen=True)
class Style:
    """What differs between the parts."""

    ink: tuple[int, int, int]
    accent: tuple[int, int, int]
    ground: tuple[int, int, int]
    columns: int


STYLES: dict[Part, Style] = {
    "a": Style((20, 20, 20), (30, 60, 130), (255, 255, 255), 1),
    "b": Style((60, 40, 30), (150, 30, 40), (250, 247, 238), 2),
    "c": Style((225, 230, 235), (120, 200, 160), (28, 32, 40), 1),
    "d": Style((10, 30, 80), (200, 90, 20), (236, 240, 244), 2),
    "e": Style((40, 40, 40), (40, 80, 150), (252, 252, 250), 1),
    "f": Style((15, 40, 35), (170, 60, 110), (248, 250, 245), 1),
    "g": Style((20, 20, 20), (250, 250, 250), (220, 180, 110), 1),
}


class Sheet:
    """A page to draw on, and the dice."""

    def __init__(self, rng: random.Random, style: Style, size: tuple[int, int]) -> None:
        self.rng, self.style = rng, style
        self.image = Image.new("RGB", size, style.ground)
        self.draw = ImageDraw.Draw(self.image)
        self.width, self.height = size

    def words(self, least: int, most: int) -> str:
        return " ".join(self.rng.choice(WORDS) for _ in range(self.rng.randint(least, most)))

    def amount(self) -> str:
        return f"{self.rng.randint(3, 990)}.{self.rng.randint(0, 99):02}"

    def text(self, x: float, y: float, text: str, size: float, *, accent: bool = False) -> None:
        color = self.style.accent if accent else self.style.ink
        self.draw.text((x, y), text, font=ImageFont.load_default(size), fill=color)


def form(sheet: Sheet) -> None:
    sheet.text(sheet.width * 0.3, 28, "Application B-12", 24)
    labels = ("Name", "First name", "Born", "Street", "City", "Phone", "Employer", "Reason")
    rows = len(labels) // sheet.style.columns
    step = (sheet.height - 240) // rows
    for k, label in enumerate(labels):
        column, row = divmod(k, rows)
        x, y = 40 + column * sheet.width // 2, 90 + row * step
        sheet.text(x, y + 8, label, 16)
        sheet.draw.rectangle((x + 110, y, x + 400, y + 40), outline=sheet.style.ink)
        sheet.text(x + 118, y + 8, sheet.words(1, 2), 19, accent=True)
    for k in range(6):
        x, y = 40 + k * 90, sheet.height - 120
        sheet.draw.rectangle((x, y, x + 20, y + 20), outline=sheet.style.ink)
        if sheet.rng.random() < 0.5:
            sheet.draw.line((x + 2, y + 2, x + 18, y + 18), fill=sheet.style.ink, width=3)
    sheet.draw.line((sheet.width - 270, sheet.height - 40, sheet.width - 40, sheet.height - 40), fill=0)


def bill(sheet: Sheet) -> None:
    sheet.text(40, 36, "Hill & Sons Ltd.", 28, accent=True)
    sheet.text(40, 76, "12 Long Street, Norwich", 14)
    sheet.text(sheet.width - 220, 40, "INVOICE", 32)
    sheet.text(sheet.width - 220, 90, f"No. {sheet.rng.randint(1000, 9999)}", 16)
    sheet.text(40, 140, sheet.words(2, 2).title(), 16)
    sheet.draw.rectangle((40, 210, sheet.width - 40, 240), fill=(225, 225, 225))
    y = 250
    for _ in range(sheet.rng.randint(3, 6)):
        sheet.text(50, y, sheet.words(2, 4), 15)
        sheet.text(sheet.width - 130, y, sheet.amount(), 15)
        y += 28
        sheet.draw.line((40, y - 4, sheet.width - 40, y - 4), fill=(210, 210, 210))
    sheet.text(sheet.width - 220, y + 20, f"Total {sheet.amount()}", 18)
    sheet.text(40, sheet.height - 40, "Bank 12-34-56 Account 1234567", 12)


def receipt(sheet: Sheet) -> None:
    sheet.text(60, 20, "SUPER MART", 20)
    y = 80
    while y < sheet.height - 120:
        sheet.text(20, y, sheet.words(1, 2)[:16], 14)
        sheet.text(sheet.width - 80, y, sheet.amount(), 14)
        y += 24
    sheet.text(20, sheet.height - 90, "TOTAL", 18)
    sheet.text(sheet.width - 90, sheet.height - 90, sheet.amount(), 18)


def slide(sheet: Sheet) -> None:
    sheet.draw.rectangle((0, 0, sheet.width, 80), fill=sheet.style.accent)
    sheet.draw.text(
        (30, 20), sheet.words(2, 3).title(), font=ImageFont.load_default(34), fill=(255, 255, 255)
    )
    for k in range(sheet.rng.randint(3, 6)):
        y = 130 + k * 62
        sheet.draw.ellipse((50, y, 62, y + 12), fill=sheet.style.accent)
        sheet.text(80, y - 10, sheet.words(3, 7), 24)
    sheet.draw.ellipse((sheet.width - 60, 20, sheet.width - 20, 60), fill=(240, 160, 30))


def code(sheet: Sheet) -> None:
    """Modules by the throw of dice, with the squares that scanners look for."""
    n = 25 if sheet.style.columns == 1 else 33
    grid = np.array([[sheet.rng.random() < 0.5 for _ in range(n)] for _ in range(n)])
    finder = np.ones((9, 9), bool)
    finder[0] = finder[8] = finder[:, 0] = finder[:, 8] = False
    finder[2:7, 2:7] = False
    finder[3:6, 3:6] = True
    grid[:8, :8], grid[:8, -8:], grid[-8:, :8] = finder[1:, 1:], finder[1:, :-1], finder[:-1, 1:]
    grid[-9:-4, -9:-4] = True
    grid[-8:-5, -8:-5] = False
    grid[-7, -7] = True
    side = min(sheet.width, sheet.height) // (n + 8)
    for y, x in zip(*np.nonzero(grid), strict=True):
        left, top = (int(x) + 4) * side, (int(y) + 4) * side
        sheet.draw.rectangle((left, top, left + side - 1, top + side - 1), fill=sheet.style.ink)


def ticket(sheet: Sheet) -> None:
    sheet.draw.rectangle((10, 10, sheet.width - 10, sheet.height - 10), outline=sheet.style.accent, width=4)
    sheet.text(40, 30, "TOWN THEATRE", 34, accent=True)
    sheet.text(40, 100, sheet.words(2, 3).title(), 26)
    sheet.text(40, 150, f"Row {sheet.rng.randint(1, 30)}  Seat {sheet.rng.randint(1, 60)}", 30)
    sheet.text(40, 200, f"{sheet.rng.randint(1, 28)} May, {sheet.rng.randint(14, 22)}:30", 22)
    x = sheet.width - 60.0
    while x > sheet.width * 0.6:
        wide = sheet.rng.choice((2, 4, 6))
        sheet.draw.rectangle((x, 40, x + wide - 1, sheet.height - 40), fill=sheet.style.ink)
        x -= wide + sheet.rng.choice((3, 5, 8))


def parcel_label(sheet: Sheet) -> None:
    sheet.text(30, 24, "FAST PARCEL", 40)
    sheet.draw.line((0, 90, sheet.width, 90), fill=sheet.style.ink, width=4)
    sheet.text(30, 110, "From: Hill & Sons Ltd., Norwich", 18)
    for k, text in enumerate((sheet.words(2, 2), sheet.words(2, 3), f"{sheet.rng.randint(10000, 99999)}")):
        sheet.text(60, 170 + 50 * k, text.title(), 36)
    sheet.draw.line((0, 360, sheet.width, 360), fill=sheet.style.ink, width=4)
    x = 40.0
    while x < sheet.width - 40:
        wide = sheet.rng.choice((3, 5, 8))
        sheet.draw.rectangle((x, 390, x + wide - 1, sheet.height - 70), fill=sheet.style.ink)
        x += wide + sheet.rng.choice((3, 5, 8))
    sheet.text(sheet.width * 0.3, sheet.height - 55, f"{sheet.rng.randint(10**11, 10**12 - 1)}", 28)


def pass_card(sheet: Sheet) -> None:
    """A pass with a drawn face: hair, skin, eyes and clothes by the throw of dice."""
    sheet.draw.rectangle((0, 0, sheet.width, 70), fill=sheet.style.accent)
    sheet.text(24, 14, "TOWN LIBRARY", 38)
    rng, left, top = sheet.rng, 30, 100
    skin, hair, shirt = (tuple(rng.randint(low, 255 - low // 2) for _ in range(3)) for low in (110, 10, 30))
    sheet.draw.rectangle((left, top, left + 180, top + 230), fill=(200, 208, 216), outline=sheet.style.ink)
    sheet.draw.ellipse((left + 30, top + 150, left + 150, top + 300), fill=shirt)
    wide = rng.randint(35, 50)
    sheet.draw.ellipse((left + 90 - wide - 8, top + 25, left + 90 + wide + 8, top + 120), fill=hair)
    sheet.draw.ellipse((left + 90 - wide, top + 45, left + 90 + wide, top + 165), fill=skin)
    for side in (-1, 1):
        x = left + 90 + side * wide // 2
        sheet.draw.ellipse((x - 6, top + 90, x + 6, top + 98), fill=(20, 20, 20))
    sheet.draw.rectangle((left, top + 231, left + 180, sheet.height), fill=sheet.style.ground)
    for k, label in enumerate(("Name", "Born", "Number")):
        y = 110 + 80 * k
        sheet.text(250, y, label, 16)
        told = (
            sheet.words(2, 2).title(),
            f"{rng.randint(1, 28)}.{rng.randint(1, 12)}.{rng.randint(1940, 2010)}",
        )
        sheet.text(250, y + 24, (*told, str(rng.randint(10**6, 10**7)))[k], 28)


def chat(sheet: Sheet) -> None:
    sheet.draw.rectangle((0, 0, sheet.width, 70), fill=sheet.style.accent)
    sheet.text(80, 18, "Anna", 28)
    sheet.draw.ellipse((20, 12, 66, 58), fill=(240, 220, 180))
    y = 90
    while y < sheet.height - 150:
        own, tall = sheet.rng.random() < 0.5, sheet.rng.choice((50, 84))
        wide = sheet.rng.randint(180, 320)
        x = sheet.width - wide - 20 if own else 20
        sheet.draw.rounded_rectangle(
            (x, y, x + wide, y + tall), 14, fill=(210, 235, 200) if own else (255,) * 3
        )
        for line in range(tall // 40):
            sheet.text(x + 14, y + 10 + 32 * line, sheet.words(2, 4)[: wide // 13], 20)
        y += tall + 14
    sheet.draw.rounded_rectangle(
        (20, sheet.height - 60, sheet.width - 20, sheet.height - 14), 20, fill=(255,) * 3
    )


def week(sheet: Sheet) -> None:
    sheet.text(30, 16, f"Week {sheet.rng.randint(1, 52)}", 30)
    side, tall = (sheet.width - 80) / 7, (sheet.height - 120) / 10
    for k, day in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        sheet.text(60 + k * side + 8, 64, day, 20)
        for hour in range(10):
            x, y = 60 + k * side, 100 + hour * tall
            sheet.draw.rectangle((x, y, x + side, y + tall), outline=(190, 195, 200))
    for hour in range(10):
        sheet.text(14, 104 + hour * tall, f"{8 + hour}:00", 14)
    for _ in range(sheet.rng.randint(5, 9)):
        x, y = 60 + sheet.rng.randrange(7) * side, 100 + sheet.rng.randrange(9) * tall
        sheet.draw.rectangle(
            (x + 2, y + 2, x + side - 2, y + tall * sheet.rng.choice((1, 2)) - 2), fill=sheet.style.accent
        )
        sheet.text(x + 8, y + 8, sheet.words(1, 1), 16)


HEAT = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])


def heat_map(sheet: Sheet) -> None:
    """Correlations as a table of colours."""
    n, side = 12, (sheet.height - 120) // 12
    dice = np.random.default_rng(sheet.rng.randrange(2**32))
    values = 2 + 2 * np.corrcoef(dice.normal(size=(n, sheet.rng.randint(6, 30))))
    for row, column in itertools.product(range(n), repeat=2):
        x, y = 90 + column * side, 40 + row * side
        color = tuple(round(np.interp(values[row, column], range(5), HEAT[:, k])) for k in range(3))
        sheet.draw.rectangle((x, y, x + side - 1, y + side - 1), fill=color)
    for k in range(n):
        sheet.text(20, 44 + k * side, f"item {k + 1}", 14)
        sheet.text(94 + k * side, 48 + n * side, f"i{k + 1}", 14)


def crossword(sheet: Sheet) -> None:
    n, side = 15, (sheet.width - 40) // 15
    black = np.zeros((n, n), bool)
    for _ in range(sheet.rng.randint(18, 30)):
        row, column = sheet.rng.randrange(n), sheet.rng.randrange(n)
        black[row, column] = black[n - 1 - row, n - 1 - column] = True
    number = 0
    for row, column in itertools.product(range(n), repeat=2):
        x, y = 20 + column * side, 20 + row * side
        fill = sheet.style.ink if black[row, column] else sheet.style.ground
        sheet.draw.rectangle((x, y, x + side, y + side), fill=fill, outline=sheet.style.ink)
        begins = column == 0 or black[row, column - 1] or row == 0 or black[row - 1, column]
        if begins and not black[row, column]:
            number += 1
            sheet.text(x + 3, y + 1, str(number), 10)


def spreadsheet(sheet: Sheet) -> None:
    sheet.draw.rectangle((0, 0, sheet.width, 24), fill=(230, 232, 236))
    for row in range(sheet.height // 24):
        sheet.draw.line((0, 24 * (row + 1), sheet.width, 24 * (row + 1)), fill=(205, 208, 212))
    for column in range(sheet.width // 90):
        sheet.text(40 + 90 * column, 4, "ABCDEFGHIJK"[column], 14)
        sheet.draw.line((90 * column, 0, 90 * column, sheet.height), fill=(205, 208, 212))
    for row in range(1, sheet.rng.randint(12, sheet.height // 24 - 1)):
        cells = (f"{sheet.rng.randint(1, 28)}.{sheet.rng.randint(1, 12)}.", sheet.words(1, 1))
        for column, told in enumerate((*cells, sheet.amount(), sheet.amount(), sheet.words(1, 1))):
            sheet.text(6 + 90 * column, 24 * row + 3, told, 14)


def bingo(sheet: Sheet) -> None:
    side = (sheet.width - 20) // 9
    for row, column in itertools.product(range(6), range(9)):
        x, y = 10 + column * side, 10 + row * side
        sheet.draw.rectangle((x, y, x + side, y + side), outline=sheet.style.ink, width=2)
        if sheet.rng.random() < 0.6:
            sheet.text(x + side // 4, y + side // 4, str(10 * column + sheet.rng.randint(1, 9)), side // 2)


def seats(sheet: Sheet) -> None:
    sheet.draw.rectangle((60, 8, sheet.width - 60, 30), fill=sheet.style.accent)
    sheet.text(sheet.width // 2 - 20, 10, "Stage", 16)
    for row, column in itertools.product(range(14), range(20)):
        x, y = 14 + column * 30 + 16 * (column > 9), 44 + row * 28
        taken = sheet.rng.random() < 0.4
        sheet.draw.ellipse(
            (x, y, x + 22, y + 22), outline=sheet.style.ink, fill=sheet.style.accent if taken else None
        )


def timetable(sheet: Sheet) -> None:
    for row in range(sheet.height // 22):
        sheet.draw.line((0, 22 * row, sheet.width, 22 * row), fill=sheet.style.ink)
        sheet.text(4, 22 * row + 3, f"Stop {row + 1}", 13)
        for column in range(1, sheet.width // 62):
            told = f"{sheet.rng.randint(5, 23)}:{sheet.rng.randint(0, 59):02}"
            sheet.text(62 * column + 8, 22 * row + 3, told, 13)
    for column in range(1, sheet.width // 62 + 1):
        sheet.draw.line((62 * column, 0, 62 * column, sheet.height), fill=sheet.style.ink)


def bar_code(sheet: Sheet) -> None:
    x = 30
    while x < sheet.width - 34:
        thick = sheet.rng.choice((2, 2, 4, 6))
        sheet.draw.rectangle((x, 20, x + thick - 1, sheet.height - 60), fill=sheet.style.ink)
        x += thick + sheet.rng.choice((2, 2, 4, 6))
    sheet.text(50, sheet.height - 50, " ".join(str(sheet.rng.randint(0, 9)) for _ in range(12)), 26)


def stones(sheet: Sheet) -> None:
    first = random.Random("the game")
    for k in range(13):
        at = 30 + 30 * k
        sheet.draw.line((30, at, 390, at), fill=sheet.style.ink)
        sheet.draw.line((at, 30, at, 390), fill=sheet.style.ink)
    for column, row in itertools.product(range(13), repeat=2):
        stone = first.choice((None, None, None, sheet.style.ink, sheet.style.accent))
        if sheet.rng.random() < 0.3:
            stone = sheet.rng.choice((None, None, None, sheet.style.ink, sheet.style.accent))
        if stone is not None:
            x, y = 30 + 30 * column, 30 + 30 * row
            sheet.draw.ellipse((x - 13, y - 13, x + 13, y + 13), fill=stone, outline=(0, 0, 0))


SORTS: dict[str, tuple[Callable[[Sheet], None], dict[Part, tuple[int, int]]]] = {
    "forms": (form, {"a": (620, 877), "b": (1000, 720), "c": (720, 900), "d": (1100, 800)}),
    "bills": (bill, {"a": (620, 877), "b": (760, 980), "c": (680, 860), "d": (900, 1200)}),
    "receipts": (receipt, {"a": (300, 640), "b": (360, 900), "c": (320, 760), "d": (400, 1000)}),
    "slides": (slide, {"a": (960, 540), "b": (1024, 768), "c": (1280, 720), "d": (800, 600)}),
    "codes": (code, {"a": (330, 330), "b": (410, 410), "c": (370, 370), "d": (450, 450)}),
    "tickets": (ticket, {"a": (700, 280), "b": (820, 360), "c": (640, 300), "d": (900, 320)}),
    "labels": (parcel_label, {"d": (640, 640)}),
    "passes": (pass_card, {"d": (640, 400)}),
    "chats": (chat, {"d": (480, 900)}),
    "weeks": (week, {"d": (900, 700)}),
    "heat maps": (heat_map, {"e": (600, 560)}),
    "crosswords": (crossword, {"e": (520, 520)}),
    "spreadsheets": (spreadsheet, {"e": (720, 480)}),
    "bingo cards": (bingo, {"f": (560, 380)}),
    "seats": (seats, {"f": (650, 450)}),
    "timetables": (timetable, {"f": (700, 520)}),
    "bar codes": (bar_code, {"f": (460, 260)}),
    "stones": (stones, {"g": (420, 420)}),
}


def drawn_sorts(work: Path, part: Part) -> Iterator[Path]:
    """A folder for each sort, drawn where it is missing."""
    for name, (draw, sizes) in SORTS.items():
        if part not in sizes:
            continue
        folder = work / part / name
        folder.mkdir(parents=True, exist_ok=True)
        rng = random.Random(f"{name} {part}")
        for k in range(N_EACH):
            sheet = Sheet(rng, STYLES[part], sizes[part])
            draw(sheet)
            file = folder / f"{name}-{k:02}.png"
            if not file.exists():
                sheet.image.save(file)
        yield folder


def with_copies(folder: Path, work: Path) -> Path:
    """The same pictures in another folder, and two copies of some: one that loses nothing, and a JPEG."""
    beside = work / "with copies" / folder.parent.name / folder.name
    if not beside.exists():
        shutil.copytree(folder, beside)
        for file in sorted(folder.iterdir())[:N_COPIED]:
            with Image.open(file) as picture:
                picture.save(beside / f"{file.stem}-copy.webp", lossless=True)
                picture.save(beside / f"{file.stem}-copy.jpg", quality=90)
    return beside


def copies_that_go(folder: Path, effort: Effort, cache: Path) -> str:
    """Of the copies of each kind, or of what they were made from, how many are proposed; and of others."""
    report = cvsim.dedupe([folder], effort=effort, cache=cache)
    gone = [Path(m.record.path) for group in report.groups for m in group.members if m.proposed]
    copied = {file.stem.removesuffix("-copy") for file in folder.iterdir() if file.suffix == ".jpg"}
    n_lossless = len({file.stem.removesuffix("-copy") for file in gone if file.suffix != ".jpg"} & copied)
    n_jpeg = sum(file.suffix == ".jpg" for file in gone)
    n_others = sum(file.stem.removesuffix("-copy") not in copied for file in gone)
    return f"{n_lossless}, {n_jpeg}, {n_others}"


def n_by_hash(folder: Path) -> int:
    """Pairs within the radius of imagehash's 64-bit perceptual hash."""
    hashes = [imagehash.phash(Image.open(file)) for file in sorted(folder.iterdir())]
    return sum(a - b <= HASH_RADIUS for a, b in itertools.combinations(hashes, 2))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="where the pictures are drawn")
    parser.add_argument("--part", choices=sorted(STYLES), action="append")
    parser.add_argument("--effort", choices=("fast", "default", "thorough"), action="append")
    parser.add_argument(
        "--copies", action="store_true", help="ask how many copies go, in place of false links"
    )
    arguments = parser.parse_args()
    efforts = arguments.effort or ["fast", "default"]
    if arguments.copies:
        print_copies(arguments.work, arguments.part or sorted(STYLES), efforts)
        return
    print(f"{N_EACH} pictures a sort, all different: false links, and files proposed for removal")
    print("| part | sort | imagehash phash 8 | " + " | ".join(f"cvsim {effort}" for effort in efforts) + " |")
    print("| --- | --- | ---: |" + " ---: |" * len(efforts))
    for part in arguments.part or sorted(STYLES):
        for folder in drawn_sorts(arguments.work, part):
            cells = []
            for effort in efforts:
                report = cvsim.dedupe([folder], effort=effort, cache=arguments.work / "cache.db")
                n_links = sum(len(group.edges) for group in report.groups)
                cells.append(f"{n_links}, {report.counts.duplicates}")
            print(f"| {part} | {folder.name} | {n_by_hash(folder)} | " + " | ".join(cells) + " |", flush=True)


def print_copies(work: Path, parts: Sequence[Part], efforts: Sequence[Effort]) -> None:
    print(
        f"{N_COPIED} of {N_EACH} pictures with a lossless copy and a JPEG: proposed of each kind, and others"
    )
    print("| part | sort | " + " | ".join(efforts) + " |")
    print("| --- | --- |" + " ---: |" * len(efforts))
    for part in parts:
        for folder in drawn_sorts(work, part):
            beside = with_copies(folder, work)
            cells = [copies_that_go(beside, effort, work / "cache.db") for effort in efforts]
            print(f"| {part} | {folder.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
