"""Connections that are kept: used again when nothing speaks against it, and never for two calls at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.calls.http_client import FORGIVEN, HttpClient

HEADERS = {"Accept": "application/json"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Then: Connection: close\r\n\r\nok"  # without saying so
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@dataclass
class Server:
    """Says its words, one for each request; then OK. bodies, heads: of the requests, in order.

    connections: how many came. asked, ended: a request has come; a connection is no more.
    """

    words: list[bytes] = field(default_factory=list)
    url: str = ""
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the connection ends. An empty word ends it; so does one without an end."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                self.asked.set()
                word = self.words.pop(0) if self.words else OK
                writer.write(word)
                if not word or b"Connection: close" in word:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def serving(*words: bytes, tls: ssl.SSLContext | None = None):
    """A server on the loopback address."""
    server = Server(list(words))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def client_of(url: str, **options):
    """A client that is closed afterwards."""
    client = HttpClient(url, HEADERS, **options)
    try:
        yield client
    finally:
        await client.close()


async def ask(client: HttpClient, body: bytes = b"{}") -> bytes:
    """The body of one answer."""
    connection = await client.connection()
    try:
        await connection.post(body)
        return await connection.read()
    finally:
        connection.release()


@pytest.fixture(params=LOOPS)
def run(request) -> Callable[[Awaitable[object]], object]:
    """Runs a coroutine on a loop of each kind that the engine may have."""
    factory = None
    if request.param == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


# -- connections


def test_one_connection_serves_one_call_after_the_other(run):
    """To make one costs more than a call."""

    async def act():
        async with serving() as server, client_of(server.url) as client:
            answers = [await ask(client, b"%d" % number) for number in range(5)]
            assert answers == [b"ok"] * 5
            assert server.bodies == [b"0", b"1", b"2", b"3", b"4"]
            return server.connections

    assert run(act()) == 1


def test_calls_at_the_same_time_have_a_connection_each(run):
    """And later ones use all of these again."""

    async def act():
        async with serving() as server, client_of(server.url) as client:
            for _ in range(3):
                assert await asyncio.gather(*(ask(client) for _ in range(7))) == [b"ok"] * 7
            return server.connections

    assert run(act()) == 7


@pytest.mark.parametrize(
    "word",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother",
    ],
)
def test_a_connection_that_may_be_spoilt_is_not_used_again(run, word):
    """Whatever else comes on it was not asked for."""

    async def act():
        async with serving(word) as server, client_of(server.url) as client:
            assert [await ask(client), await ask(client)] == [b"ok", b"ok"]
            return server.connections

    assert run(act()) == 2


def test_a_word_nobody_asked_for_ends_a_connection(run):
    """It comes while nobody has the connection, and must not be taken for the next answer."""

    async def act():
        async with serving() as server, client_of(server.url) as client:
            await ask(client)
            connection = await client.connection()
            connection.data_received(b"HTTP/1.1 200 OK\r\n")
            connection.release()
            await server.ended.wait()
            return await ask(client), server.connections

    assert run(act()) == (b"ok", 2)


def test_a_connection_that_the_server_closed_is_not_used_again(run):
    """It says so while nobody asks, and the next call finds out before it is sent."""

    async def act():
        async with serving(CLOSES) as server, client_of(server.url) as client:
            await ask(client)
            (connection,) = client._open
            await connection.closed
            return await ask(client), server.connections

    assert run(act()) == (b"ok", 2)


def test_a_connection_that_was_idle_for_long_is_not_used_again(run):
    """It may be dead, and the call would wait for its time limit."""

    async def act():
        async with serving() as server, client_of(server.url, kept_s=-1.0) as client:
            assert [await ask(client) for _ in range(3)] == [b"ok"] * 3
            return server.connections

    assert run(act()) == 3


def test_an_answer_that_nobody_waits_for_ends_its_connection(run):
    """A call that ran out of time is cancelled; its answer may come later, and is no other call's."""

    async def act():
        slow = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        async with serving(slow) as server, client_of(server.url) as client:
            late = asyncio.ensure_future(ask(client))
            await server.asked.wait()
            late.cancel()
            await asyncio.gather(late, return_exceptions=True)
            assert late.cancelled()
            await server.ended.wait()
            return await ask(client), server.connections

    assert run(act()) == (b"ok", 2)


def test_closing_ends_all_connections(run):
    """Those in use too; afterwards nothing is left open."""

    async def act():
        async with serving() as server:
            client = HttpClient(server.url, HEADERS)
            await ask(client)
            used = await client.connection()
            await client.close()
            await server.ended.wait()
            with pytest.raises(ConnectionError):
                await used.post(b"{}")
            return len(client._open)

    assert run(act()) == 0


# -- requests


def test_a_request_is_what_was_asked_for(run):
    """One line, the host, the headers, the length, and the body, of any size."""
    body = bytes(range(256)) * 20_000

    async def act():
        async with serving() as server, client_of(server.url + "/größe?a=b c") as client:
            await ask(client, body)
            host = server.url.split("/")[2]
            return server.heads, server.bodies, host

    heads, bodies, host = run(act())
    assert bodies == [body]
    assert heads[0].split("\r\n") == [
        "POST /v1/gr%C3%B6%C3%9Fe?a=b%20c HTTP/1.1",
        f"Host: {host}",
        "Accept: application/json",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1/v1", "127.0.0.1"),
        ("https://API.example.com:443/v1", "api.example.com"),
        ("http://api.example.com:443/v1", "api.example.com:443"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("http://bücher.example/v1", "xn--bcher-kva.example"),
    ],
)
def test_the_host_is_named_as_the_web_does_it(url, host):
    """Without the port that its scheme has anyway."""
    assert f"\r\nHost: {host}\r\n".encode() in HttpClient(url, {})._head


def test_a_name_in_the_address_becomes_a_header():
    """As every client does it; a key of one's own goes before."""
    url = "http://me%40home:pass@127.0.0.1/v1"
    assert b"\r\nAuthorization: Basic bWVAaG9tZTpwYXNz\r\n" in HttpClient(url, {})._head
    assert b"Basic" not in HttpClient(url, {"Authorization": "Bearer key"})._head


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000/v1", "ftp://127.0.0.1", "http://", "http:///v1", "http://[::1", "http://a:b/"]
)
def test_what_is_no_address_is_refused(url):
    """Before anything is sent anywhere."""
    with pytest.raises(ValueError, match=r".+"):
        HttpClient(url, {})


def test_a_header_cannot_become_two():
    """A key with a line break in it would be a way to say more than a key; it is not shown either."""
    with pytest.raises(ValueError, match="line break") as caught:
        HttpClient("http://127.0.0.1/v1", {"Authorization": "Bearer key\r\nX-Odd: 1"})
    assert "key" not in str(caught.value)


# -- lines


@pytest.mark.parametrize(
    "word", [b"", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nok"]
)
def test_a_line_that_breaks_is_told(run, word):
    """Once the request is out: whether it was answered, nobody knows."""

    async def act():
        async with serving(word) as server, client_of(server.url) as client:
            with pytest.raises(ConnectionError, match="closed the connection"):
                await ask(client)
            return len(server.bodies), await ask(client)

    assert run(act()) == (1, b"ok")


def test_an_end_that_the_loop_has_yet_to_read_is_seen(run):
    """Nothing is sent to a server that has hung up: the call would fail, and would have to be booked."""

    def answers(line: socket.socket) -> None:
        line.recv(1 << 16)
        line.sendall(OK)

    async def act():
        with socket.create_server(("127.0.0.1", 0)) as server:
            async with client_of(f"http://127.0.0.1:{server.getsockname()[1]}/v1") as client:
                first = await client.connection()
                there, _ = await asyncio.to_thread(server.accept)
                await asyncio.gather(first.post(b"{}"), asyncio.to_thread(answers, there))
                await first.read()
                there.close()  # at once, while the loop is not looking
                first.release()
                return await client.connection() is first

    assert run(act()) is False


@pytest.mark.parametrize(("ends", "made"), [(FORGIVEN, 1), (FORGIVEN + 2, 2)])
def test_connections_are_not_kept_where_most_end_over_the_next_request(run, ends, made):
    """Each such end is a call that fails, and is booked; now and then, it happens anywhere."""

    async def act():
        async with serving(*[OK, b""] * ends) as server, client_of(server.url) as client:
            for _ in range(ends):
                await ask(client)
                with suppress(ConnectionError):
                    await ask(client)
            server.words.clear()
            before = server.connections
            await ask(client)
            await ask(client)
            return server.connections - before

    assert run(act()) == made


def test_a_name_is_looked_up(run):
    """And its addresses are tried one after the other: here, the server has only one of them."""

    async def act():
        async with serving() as server, client_of(server.url.replace("127.0.0.1", "localhost")) as client:
            return await asyncio.gather(*(ask(client) for _ in range(3)))

    assert run(act()) == [b"ok"] * 3


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """What a server of this name needs; its certificate is put into the folder."""
    key, subject = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
    )
    now, names = dt.datetime.now(dt.UTC), [x509.DNSName(name)]
    if name[0].isdigit():
        names = [x509.IPAddress(ipaddress.ip_address(name))]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize("named", ["127.0.0.1", "localhost"])
def test_an_encrypted_line_works_where_the_server_is_trusted(run, tmp_path, monkeypatch, named):
    """The system's store of certificates decides, which the environment may name; connections are kept."""
    context = certificate(tmp_path, named)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    async def act():
        async with (
            serving(tls=context) as server,
            client_of(server.url.replace("127.0.0.1", named)) as client,
        ):
            answers = [await ask(client, b"x" * 100_000) for _ in range(3)]
            return answers, server.connections

    assert run(act()) == ([b"ok"] * 3, 1)


@pytest.mark.parametrize(("named", "trusted"), [("127.0.0.1", False), ("elsewhere.example", True)])
def test_nothing_is_said_to_a_server_that_is_not_who_it_should_be(run, tmp_path, monkeypatch, named, trusted):
    """Neither to one that nobody vouches for, nor to one of another name: the key would be theirs."""
    context = certificate(tmp_path, named)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    async def act():
        async with serving(tls=context) as server, client_of(server.url) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.connection()
            return server.bodies

    assert run(act()) == []


# -- proxies


@dataclass
class Proxy:
    """Leads on to any server, or refuses with a status. url: its own. heads: of what it was asked."""

    status: int = 200
    url: str = ""
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Open one tunnel."""
        self.heads.append(head := (await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 %d Said\r\n\r\n" % self.status)
        if self.status == 200:
            host, _, port = head.split()[1].rpartition(":")
            there, back = await asyncio.open_connection(host, int(port))
            await asyncio.gather(copied(reader, back), copied(there, writer))
        writer.close()


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes from one end goes to the other."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def proxying(status: int = 200):
    """A proxy on the loopback address, with a user of its own."""
    proxy = Proxy(status)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://me:p%40ss@127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()


def test_an_encrypted_line_goes_through_a_proxy_unread(run, tmp_path, monkeypatch):
    """It learns host and port, and its own password; the rest is for the server, whose name is checked."""
    context = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    async def act():
        async with (
            serving(tls=context) as server,
            proxying() as proxy,
            client_of(server.url, proxy=proxy.url) as client,
        ):
            answers = [await ask(client) for _ in range(3)]
            place = server.url.removeprefix("https://").removesuffix("/v1")
            lines = [
                f"CONNECT {place} HTTP/1.1",
                f"Host: {place}",
                "Proxy-Authorization: Basic bWU6cEBzcw==",
                "",
                "",
            ]
            assert proxy.heads == ["\r\n".join(lines)]
            assert not [head for head in server.heads if "Proxy" in head]
            return answers, server.connections

    assert run(act()) == ([b"ok"] * 3, 1)


def test_a_line_that_is_not_encrypted_names_the_server_to_the_proxy(run):
    """In the first line of each request (RFC 9112, section 3.2.2); the server need not be found from here."""

    async def act():
        async with serving() as server, client_of("http://sim.invalid:8080/v1", proxy=server.url) as client:
            assert [await ask(client), await ask(client)] == [b"ok", b"ok"]
            return server.heads[1].splitlines()[:2]

    assert run(act()) == ["POST http://sim.invalid:8080/v1 HTTP/1.1", "Host: sim.invalid:8080"]


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_is_told_without_its_password(run, status):
    """Nothing was sent."""

    async def act():
        async with proxying(status) as proxy, client_of("https://sim.invalid/v1", proxy=proxy.url) as client:
            with pytest.raises(
                ConnectionError, match=f"the proxy refused to connect, with status {status}"
            ) as caught:
                await client.connection()
            return str(caught.value)

    assert "p@ss" not in run(act())
