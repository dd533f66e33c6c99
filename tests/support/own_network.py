"""A program for a network of its own: a name server whose answers change, a public host, a private one.

It asks for pictures by names, as a person would, through the resolver of the system, and prints what
came of each as JSON.
Run by ``unshare --map-root-user --mount --net``; nothing of it leaves that namespace.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUDPServer
from typing import ClassVar

PUBLIC, PRIVATE = "93.184.216.34", "127.0.0.1"

ANSWERS = {
    "steady.example": [[PUBLIC]],
    "turncoat.example": [[PUBLIC], [PRIVATE]],
    "mixed.example": [[PUBLIC, PRIVATE]],
    "leads-inside.example": [[PUBLIC]],
    "inside.example": [[PRIVATE]],
    "leads-to-itself.example": [[PUBLIC], [PRIVATE]],
    "deaf.example": [[PUBLIC], [PRIVATE]],
}
"""What each name means at the first question, the second, ...; the last answer stays."""

ASKED = {
    "steady": "http://steady.example/picture.jpg",
    "turncoat": "http://turncoat.example/picture.jpg",
    "mixed": "http://mixed.example/picture.jpg",
    "leads-inside": "http://leads-inside.example/to-inside",
    "leads-to-itself": "http://leads-to-itself.example/to-itself",
    "tried again": "http://deaf.example:81/picture.jpg",
}


class _Names(BaseRequestHandler):
    """Answers questions for addresses (RFC 1035), none of which may be kept."""

    asked: ClassVar[Counter[str]] = Counter()

    def handle(self) -> None:
        question, socket = self.request
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, kind = ".".join(labels), struct.unpack(">H", question[at + 1 : at + 3])[0]
        addresses: list[str] = []
        if kind == 1 and name in ANSWERS:
            addresses = ANSWERS[name][min(self.asked[name], len(ANSWERS[name]) - 1)]
            self.asked[name] += 1
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + bytes(map(int, address.split(".")))
            for address in addresses
        )
        socket.sendto(head + question[12 : at + 5] + records, self.client_address)


class _Web(ThreadingHTTPServer):
    def __init__(self, address: str, port: int, picture: bytes) -> None:
        super().__init__((address, port), _Pages)
        self.picture, self.hits = picture, 0


class _Pages(BaseHTTPRequestHandler):
    server: _Web

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.hits += 1
        to = {"/to-inside": "http://inside.example/picture.jpg", "/to-itself": "/picture.jpg"}.get(self.path)
        self.send_response(302 if to else 200)
        if to:
            self.send_header("location", to)
        body = b"" if to else self.server.picture
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")  # the next request looks the name up again
        self.end_headers()
        self.wfile.write(body)


def main(picture: str, folder: str) -> None:
    settings = Path(folder) / "resolv.conf"
    settings.write_text(f"nameserver {PRIVATE}\noptions timeout:2 attempts:1\n")
    for command in (
        "ip link set lo up",
        f"ip address add {PUBLIC}/32 dev lo",
        f"mount --bind {settings} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)
    content = Path(picture).read_bytes()
    public, private, other = _Web(PUBLIC, 80, content), _Web(PRIVATE, 80, content), _Web(PRIVATE, 81, content)
    for server in (ThreadingUDPServer((PRIVATE, 53), _Names), public, private, other):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    from cvsim.errors import FetchError
    from cvsim.fetch.client import Limits, RemoteClient

    came: dict[str, object] = {}
    limits = Limits(timeout_s=5, total_s=10, n_attempts=2, wait_s=0.01)
    with RemoteClient(limits) as client:
        for what, url in ASKED.items():
            try:
                came[what] = client.fetch(url).format
            except FetchError as exc:
                came[what] = str(exc)
    came["hits"] = {"public": public.hits, "private": private.hits + other.hits}
    print(json.dumps(came))


if __name__ == "__main__":
    main(*sys.argv[1:])
