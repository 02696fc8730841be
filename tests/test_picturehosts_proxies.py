"""Whether a proxy connects for us."""

import pytest

from astria_sync import picturehosts


@pytest.mark.parametrize(
    ("proxies", "proxied"),
    [
        ({}, False),
        ({"no": "localhost"}, False),
        ({"no": "localhost", "https": "http://proxy:3128"}, True),
        ({"http": "http://proxy:3128"}, True),
        ({"all": "socks5://proxy:1080"}, True),
        ({"ftp": "http://proxy:3128"}, False),
    ],
    ids=str,
)
def test_only_a_proxy_of_ours_is_one(monkeypatch, proxies, proxied):
    """NO_PROXY alone is no proxy: addresses are still checked."""
    monkeypatch.setattr(picturehosts.urllib.request, "getproxies", lambda: proxies)
    assert picturehosts.from_environment(local=False).proxied is proxied
