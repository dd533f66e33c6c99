"""The network client against a server that stalls, cuts off, redirects and lies."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer, faulty_server
from generate import RGB
from PIL import Image

pytest.importorskip("httpx", reason="the extra 'remote' is not installed")

from cvsim.errors import FetchError
from cvsim.fetch.addresses import is_public
from cvsim.fetch.client import Limits, RemoteClient

LIMITS = Limits(max_bytes=300_000, timeout_s=0.5, total_s=1.0, n_attempts=3, wait_s=0.01)
ONCE = Limits(max_bytes=300_000, timeout_s=0.5, total_s=1.0, n_attempts=1)


@pytest.fixture(scope="module")
def jpeg(photo: RGB) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=85)
    return stream.getvalue()


@pytest.fixture
def server(jpeg: bytes) -> Iterator[FaultyServer]:
    with faulty_server(jpeg) as running:
        yield running


@pytest.fixture
def client() -> Iterator[RemoteClient]:
    with RemoteClient(LIMITS, allow_private=True) as client:
        yield client


@pytest.mark.parametrize("path", ["/ok", "/called-text", "/flaky", "/cut-once", "/moved"])
def test_what_can_be_had_is_had(server: FaultyServer, client: RemoteClient, jpeg: bytes, path: str) -> None:
    fetched = client.fetch(server.url + path)
    assert fetched.data == jpeg
    assert fetched.format == "jpeg"


FAILURES = {
    "/missing": ("404", 1),
    "/html": ("not an image", 1),
    "/svg": ("not an image .*svg", 1),
    "/empty": ("empty answer", 3),
    "/down": ("500", 3),
    "/cut": ("broke off", 3),
    "/unframed": ("ends before the picture does", 3),
    "/huge": ("over the limit", 1),
    "/endless": ("more than 300,000 bytes", 1),
    "/packed": ("compressed", 1),
    "/loop": ("more than 5 redirects", 6),
    "/to-file": ("no http or https URL", 1),
    "/nonsense": ("no HTTP", 3),
}


@pytest.mark.parametrize("path", FAILURES)
def test_what_can_not_be_had_is_named_and_only_tried_again_where_that_may_help(
    server: FaultyServer, client: RemoteClient, path: str
) -> None:
    reason, n_requests = FAILURES[path]
    with pytest.raises(FetchError, match=reason):
        client.fetch(server.url + path)
    assert server.hits[path] == n_requests


@pytest.mark.parametrize("path", ["/stall", "/drip"])
def test_a_slow_server_is_left(server: FaultyServer, path: str) -> None:
    with (
        RemoteClient(ONCE, allow_private=True) as client,
        pytest.raises(FetchError, match="in time") as caught,
    ):
        client.fetch(server.url + path)
    assert caught.value.retryable


def test_a_port_where_nobody_listens(client: RemoteClient) -> None:
    with pytest.raises(FetchError, match="no connection") as caught:
        client.fetch("http://127.0.0.1:9/x.jpg")
    assert caught.value.unreachable


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "x.jpg", "http://", "http://[", "http://a b/"]
)
def test_other_urls_are_refused(client: RemoteClient, url: str) -> None:
    with pytest.raises(FetchError):
        client.fetch(url)


# --- private networks -------------------------------------------------------------------------------------


def test_this_machine_is_refused_by_default(server: FaultyServer) -> None:
    with RemoteClient(LIMITS) as client:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(FetchError, match="private network"):
                client.fetch(f"{url}/ok")
    assert not server.hits


def test_other_spellings_of_this_machine_are_refused() -> None:
    spellings = ("127.1", "0x7f.1", "2130706433", "0", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]")
    with RemoteClient(ONCE) as client:
        for spelling in spellings:
            with pytest.raises(FetchError, match=r"private network|looked up"):
                client.fetch(f"http://{spelling}/x.jpg")


def test_a_name_of_a_private_address_is_refused(server: FaultyServer) -> None:
    with (
        RemoteClient(ONCE, resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"]) as client,
        pytest.raises(FetchError, match="private network"),
    ):
        client.fetch(server.url.replace("127.0.0.1", "pictures.example") + "/ok")
    assert not server.hits


def test_a_redirect_into_the_private_network_is_refused(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first host counts as public here; where it leads to does not."""
    port = server.server_address[1]
    monkeypatch.setattr("cvsim.fetch.addresses.is_public", lambda address: address == "127.0.0.1")
    addresses = {"pictures.example": ["127.0.0.1"], "localhost": ["::1"]}
    with (
        RemoteClient(ONCE, resolve=lambda host, port: addresses[host]) as client,
        pytest.raises(FetchError, match="localhost is on a private network"),
    ):
        client.fetch(f"http://pictures.example:{port}/to-localhost")
    assert dict(server.hits) == {"/to-localhost": 1}


@pytest.mark.parametrize("user", ["127.0.0.1@", "pictures.example@", "user:secret@", ":@"])
def test_a_url_that_hides_its_host_behind_a_name_is_refused_before_anything_is_asked(
    server: FaultyServer, client: RemoteClient, user: str
) -> None:
    with pytest.raises(FetchError, match="user name or a password"):
        client.fetch(server.url.replace("://", f"://{user}") + "/ok")
    assert not server.hits


def test_credentials_are_taken_from_whoever_says_so(server: FaultyServer) -> None:
    with RemoteClient(ONCE, allow_private=True, allow_credentials=True) as client:
        assert client.fetch(server.url.replace("://", "://user:secret@") + "/ok").format == "jpeg"


def test_the_address_that_was_checked_is_the_one_that_is_asked(server: FaultyServer) -> None:
    """A name that changes its meaning between the check and the connection changes nothing."""
    answers = iter([["127.0.0.1"], ["192.0.2.1"], ["192.0.2.1"]])
    with RemoteClient(ONCE, allow_private=True, resolve=lambda host, port: next(answers)) as client:
        port = server.server_address[1]
        assert client.fetch(f"http://turncoat.example:{port}/ok").format == "jpeg"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "fec0::1",
        "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "240.0.0.1", "nonsense",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)
