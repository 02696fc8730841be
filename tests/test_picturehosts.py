"""Pictures come over https and from public addresses only."""

import socket
import threading

import httpx
import pytest

from astria_sync import picturehosts
from astria_sync.core.work import Download, NotSaved
from astria_sync.download import Downloader
from astria_sync.picturehosts import HostRefusedError, PictureHosts


@pytest.mark.parametrize(
    ("url", "local", "allowed"),
    [
        ("https://cdn.example.com/a.jpg", False, True),
        ("https://8.8.8.8/a.jpg", False, True),
        ("http://cdn.example.com/a.jpg", False, False),
        ("file:///etc/passwd", False, False),
        ("ftp://cdn.example.com/a.jpg", True, False),
        ("https://127.0.0.1/a.jpg", False, False),
        ("https://10.0.0.1/a.jpg", False, False),
        ("https://169.254.169.254/latest", False, False),
        ("https://[::1]/a.jpg", False, False),
        ("https://[fe80::1%25eth0]/a.jpg", False, False),
        ("https://[::ffff:127.0.0.1]/a.jpg", False, False),
        ("https://0.0.0.0/a.jpg", False, False),
        ("https://224.0.0.1/a.jpg", False, False),
        ("http://127.0.0.1:8000/a.jpg", True, True),
    ],
)
def test_addresses(url, local, allowed):
    """Plain http and addresses of this machine or network are for a stand-in on this machine alone."""
    hosts = PictureHosts(local=local)
    if allowed:
        hosts.check_url(url)
    else:
        with pytest.raises(HostRefusedError):
            hosts.check_url(url)


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "by a proxy"])
def test_a_name_that_leads_to_this_machine(proxied):
    """What a name leads to is checked on the connection, before a byte is sent; a proxy's reach is its own business."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        received: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(1000))
                if received[0]:
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        hosts = PictureHosts(local=False, proxied=proxied)
        url = f"http://localhost:{server.getsockname()[1]}/"
        with httpx.Client(trust_env=False) as client:
            if proxied:
                assert client.get(url, extensions={"trace": hosts.on_trace}).status_code == 204
            else:
                with pytest.raises(HostRefusedError, match="not public"):
                    client.get(url, extensions={"trace": hosts.on_trace})
        thread.join()
    assert bool(received[0]) is proxied


def test_a_download_from_there_is_not_saved_and_says_why(tmp_path, monkeypatch):
    """The engine hears a clause that it can show, and nothing lies in the folder."""
    monkeypatch.setattr(picturehosts.urllib.request, "getproxies", dict)
    downloader = Downloader(timeout=5, connections=1, plain_http=False)
    work = Download(image_id=1, url="https://192.168.1.1/a.jpg", folder=tmp_path, stem="a")
    result = downloader.fetch(work)
    downloader.close()
    assert isinstance(result, NotSaved)
    assert "not public" in result.why
    assert list(tmp_path.iterdir()) == []
