"""Pictures come over https and from public addresses only, whatever their address says and wherever it leads."""

import ipaddress
import socket
import ssl
import threading

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_sync.addresses import is_this_machine
from astria_sync.core.work import Download, NotSaved, Saved
from astria_sync.download import Downloader
from astria_sync.picturehosts import Guard, HostRefusedError, PictureHosts
from tests.security.hostile import Raw, Says

PRIVATE = [
    *(
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
    ),
    *(
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
    ),
    *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *(
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
    ),
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
    ),
    *("2002:7f00:1::", "2002:c0a8:101::1", "4000::1", "100::1", "5f00::1"),
]
PUBLIC = ["8.8.8.8", "104.16.1.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
THIS_MACHINE = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]


def allowed(check, *words, **named) -> bool:
    try:
        check(*words, **named)
    except HostRefusedError:
        return False
    return True


def connects(address: str, *, local: bool = False, plain: bool = False) -> bool:
    """Whether a connection that led there may be used; one that may not is closed."""

    class Stream:
        closed = False

        def get_extra_info(self, _: str) -> tuple[str, int]:
            return address, 443

        def close(self) -> None:
            self.closed = True

    guard, stream = Guard(host="cdn.example", plain=plain, local=local), Stream()
    guard("connection.connect_tcp.started", {"host": "cdn.example"})
    good = allowed(guard, "connection.connect_tcp.complete", {"return_value": stream})
    assert stream.closed is not good
    return good


@pytest.mark.parametrize("address", [*PRIVATE, *PUBLIC])
def test_addresses_connected_to(address):
    """Only what everybody can reach; beside a stand-in on this machine, this machine too, and no other that is not public."""
    assert connects(address) is (address in PUBLIC)
    assert connects(address, local=True) is (address in {*PUBLIC, *THIS_MACHINE})
    assert connects(address, local=True, plain=True) is (address in THIS_MACHINE)


@given(st.ip_addresses(v=4))
def test_ipv4_inside_ipv6(address):
    """Wrapped in IPv6 an address is what it is without."""
    number = int(address)
    bare = connects(str(address))
    assert bare is (address.is_global and not address.is_multicast)
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert connects(str(ipaddress.IPv6Address(wrapped))) is bare


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
        ),
        *("0x7f000001", "0x7f.1", "017700000001", "0", "10.1", "0xa.1", "[::1]", "[::ffff:7f00:1]"),
        *("127。0。0。1", "[fe80::1%25eth0]", "169.254.43518"),
    ],
)
def test_ways_to_write_this_machine(host, tmp_path):
    """Refused as it is read, also where a proxy would look it up; nothing is asked."""
    downloader = Downloader(timeout=1, connections=1, plain_http=False, transport=httpx.MockTransport(never))
    result = downloader.fetch(Download(image_id=1, url=f"https://{host}/a.jpg", folder=tmp_path, stem="a"))
    downloader.close()
    assert isinstance(result, NotSaved)
    assert "not public" in result.why
    assert not result.expired


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was asked")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://cdn.example/a.jpg",
            "ftp://cdn.example/a.jpg",
            "file:///etc/passwd",
            "file://localhost/etc/passwd",
        ),
        *("data:image/png;base64,AAAA", "javascript:alert(1)", "/etc/passwd", "//cdn.example/a.jpg", "", "x"),
        *(
            "https://",
            "https:///a.jpg",
            "https://user@cdn.example/a.jpg",
            "https://user:word@cdn.example/a.jpg",
        ),
        *(
            "https://0177.0.0.1/",
            r"https://cdn.example\@127.0.0.1/",
            "https://cdn.example:99999/",
            "https://cdn.example:-1/",
            "https://cdn.example:0/",
            "https://a b/",
        ),
        *(
            "https://cdn.example:port/",
            "https://a%2fb/",
            "https://[broken/",
            "https://cdn.example/\n\r\x1b[31m",
        ),
        *(
            "https://...",
            "https://a..b/",
            f"https://{'a' * 300}/",
            "unix:/run/x.sock",
            "https+unix://x/",
            "HTTP://x/",
        ),
    ],
)
@pytest.mark.parametrize("local", [False, True])
def test_addresses_that_are_not_tried(tmp_path, url, local):
    """No other scheme, no user's name, no host that is none; told in a sentence, never raised."""
    if local and url.lower().startswith("http://"):
        return
    transport = (
        None if "." * 2 in url or "a" * 99 in url else httpx.MockTransport(never)
    )  # looked up, and not found
    downloader = Downloader(timeout=1, connections=1, plain_http=local, transport=transport)
    result = downloader.fetch(Download(image_id=1, url=url, folder=tmp_path, stem="a"))
    downloader.close()
    assert isinstance(result, NotSaved)
    assert result.why
    assert not list(tmp_path.iterdir())


def test_names_that_lead_here(tmp_path, monkeypatch):
    """A name that is looked up as public and then as private (rebinding) is told by the connection; not a byte is sent."""
    with Raw(lambda _: None) as server:
        right, asked = socket.getaddrinfo, []

        def lookup(host, port, *rest, **more):
            asked.append(host)
            return right("127.0.0.1" if host == "rebound.example" else host, port, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        downloader = Downloader(timeout=5, connections=1, plain_http=False)
        url = f"https://rebound.example:{server.port}/a.jpg"
        result = downloader.fetch(Download(image_id=1, url=url, folder=tmp_path, stem="a", resume_etag='"e"'))
        downloader.close()
    assert asked == ["rebound.example"]
    assert isinstance(result, NotSaved)
    assert "not public" in result.why
    assert result.etag == '"e"'
    assert not b"".join(server.heard)


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1:{port}/", "https://localhost:{port}/", "http://127.0.0.1:{port}/"]
)
def test_redirects_that_lead_here(tmp_path, other, target):
    """A public host may not send us where its list may not."""
    where = target.format(port=other.port)
    answer = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": where}))
    downloader = Downloader(timeout=5, connections=1, plain_http=False, transport=answer)
    result = downloader.fetch(Download(image_id=1, url="https://cdn.example/a", folder=tmp_path, stem="a"))
    downloader.close()
    assert isinstance(result, NotSaved)
    assert not other.asked


def test_a_proxys_reach_is_its_own_business(tmp_path, other, monkeypatch):
    """By a proxy we do not know where a name leads; literal addresses are refused all the same, and NO_PROXY is checked."""
    monkeypatch.setenv("HTTPS_PROXY", other.url)
    monkeypatch.setenv("NO_PROXY", "direct.example")
    other.answer = lambda _: Says(status=502)
    right = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: right("127.0.0.1" if "example" in host else host, *rest, **more),
    )
    downloader = Downloader(timeout=5, connections=1, plain_http=False)
    whys = []
    for host in ("cdn.example", "10.0.0.1", f"direct.example:{other.port}"):
        result = downloader.fetch(Download(image_id=1, url=f"https://{host}/a", folder=tmp_path, stem="a"))
        assert isinstance(result, NotSaved)
        whys.append(result.why)
    downloader.close()
    assert [asked.path for asked in other.asked] == ["cdn.example:443"]
    assert ["not public" in why for why in whys] == [False, True, True]


def test_a_stand_in_on_this_machine(tmp_path, astria):
    """Where Astria itself is here, its pictures may be, at any name of this machine; a router of the network may not."""
    downloader = Downloader(timeout=5, connections=1, plain_http=True)
    for n, host in enumerate(("127.0.0.1", "localhost", "127.1")):
        url = f"http://{host}:{astria.port}/pictures/1.jpg"
        assert isinstance(
            downloader.fetch(Download(image_id=1, url=url, folder=tmp_path, stem=f"a{n}")), Saved
        )
    for url in ("http://192.168.1.1/a", "https://10.0.0.1/a", "http://8.8.8.8/a", "http://169.254.169.254/a"):
        assert isinstance(
            downloader.fetch(Download(image_id=1, url=url, folder=tmp_path, stem="b")), NotSaved
        )
    downloader.close()


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://[::1]:1/v1", True),
        ("https://127.0.0.1", False),
        ("https://api.astria.ai", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
    ],
)
def test_whether_astria_is_here(url, here):
    """Only plain http at an address of this machine makes it a stand-in."""
    assert is_this_machine(url) is here


def test_a_certificate_is_asked_for(tmp_path):
    """A host that cannot show who it is gets no request, public or not."""
    with Raw(lambda _: None) as server:
        client = Downloader(timeout=5, connections=1, plain_http=False)
        context = client._client._transport.context
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        client._hosts = PictureHosts(local=True)
        url = f"https://127.0.0.1:{server.port}/a"
        result = client.fetch(Download(image_id=1, url=url, folder=tmp_path, stem="a"))
        client.close()
    assert isinstance(result, NotSaved)
    assert b"GET" not in b"".join(server.heard)


def test_one_thread_does_not_speak_for_another(tmp_path):
    """Two downloads at a time, one allowed and one not: each hears of its own connection alone."""
    hosts = PictureHosts(local=False)
    guards = [hosts.guard(scheme="https", host=f"{n}.example") for n in range(20)]
    outcomes: list[bool] = []

    def connect(guard: Guard, address: str) -> None:
        guard("connection.connect_tcp.started", {"host": guard.host})
        stream = type("S", (), {"get_extra_info": lambda *_: (address, 1), "close": lambda *_: None})()
        outcomes.append(
            allowed(guard, "connection.connect_tcp.complete", {"return_value": stream})
            is (address == "8.8.8.8")
        )

    threads = [
        threading.Thread(target=connect, args=(guard, "8.8.8.8" if n % 2 else "10.0.0.1"))
        for n, guard in enumerate(guards)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 20
