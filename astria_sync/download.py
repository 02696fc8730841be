"""Pictures to disk. This client does not know the token: pictures lie on other hosts, which must not get it.

A file under its final name is always whole: hidden temporary name in the same folder, length and structure checked, fsync,
rename without replacing, fsync of the folder (disk.py).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import httpx

from astria_sync import media, picturehosts
from astria_sync.api import USER_AGENT
from astria_sync.core.naming import temporary_name
from astria_sync.core.work import Download, NotSaved, Saved
from astria_sync.disk import Disk

_REDIRECTS: Final = 5
_CHUNK: Final = 256 * 1024
_LARGEST: Final = 8 * 1024**3  # bytes; no picture or video of Astria's comes near it


class Refused(Exception):  # noqa: N818 - it carries a result, it is no error of ours
    """The download ends here; `result` says how."""

    def __init__(self, why: str, **how: Any) -> None:
        super().__init__(why)
        self.result = NotSaved(why=why, **how)


class Downloader:
    """Fetches pictures with connections of its own. Thread-safe."""

    def __init__(
        self,
        *,
        timeout: float,
        connections: int,
        plain_http: bool,
        transport: httpx.BaseTransport | None = None,
        disk: Disk | None = None,
    ) -> None:
        """`plain_http`: http addresses are allowed, which they are only if `base_url` itself is one on loopback."""
        self._disk = disk or Disk()
        self._hosts = picturehosts.from_environment(local=plain_http)
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # Decompression could blow 300 kB up to 300 MB, and bytes are to be kept as served.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, work: Download) -> Saved | NotSaved:
        """Download one picture, going on where a former attempt stopped if the server still has the same one."""
        part = work.folder / temporary_name(work.stem)
        try:
            self._disk.make_folder(work.folder)
            return self._fetch(work, part)
        except Refused as refusal:
            return refusal.result
        except picturehosts.HostRefusedError as error:
            return NotSaved(why=str(error), etag=work.resume_etag)
        except httpx.HTTPError as error:
            return NotSaved(why=str(error) or type(error).__name__, etag=work.resume_etag)
        except (httpx.InvalidURL, ValueError) as error:
            return NotSaved(why=f"its address is none ({error})", expired=True)
        except OSError as error:
            with suppress(OSError):
                self._disk.remove(part)
            return NotSaved(
                why=f"{error.filename or work.folder} cannot be written ({error.strerror})", local=True
            )

    def _fetch(self, work: Download, part: Path) -> Saved | NotSaved:
        have = self._disk.size(part) if work.resume_etag else 0
        headers = {"Range": f"bytes={have}-", "If-Range": work.resume_etag} if have else {}
        with self._get(work.url, headers) as response:
            start = self._start(response, have, work.resume_etag)
            etag = _strong_etag(response) or (work.resume_etag if start else "")
            total = _length(response, start)
            digest = hashlib.sha256()
            with self._disk.open(part, "r+b") if start else self._disk.begin(part) as file:
                _hash_start(file, digest, start)
                file.truncate()
                try:
                    size = _copy(response, file, digest, start)
                except httpx.HTTPError as error:
                    return NotSaved(why=str(error) or type(error).__name__, etag=etag)
                if total is not None and size != total:
                    return NotSaved(why=f"the connection ended after {size:,} of {total:,} bytes", etag=etag)
                self._disk.sync(file)
        return self._publish(work, part, size, digest.hexdigest())

    @contextmanager
    def _get(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The final answer, after redirects, each of which must be to an allowed address."""
        for _ in range(_REDIRECTS + 1):
            self._hosts.check_url(url)
            trace = {"trace": self._hosts.on_trace}
            with self._client.stream("GET", url, headers=headers, extensions=trace) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                url = str(response.url.join(response.headers["Location"]))
        raise Refused("it is redirected without end")

    @staticmethod
    def _start(response: httpx.Response, have: int, resume_etag: str) -> int:
        """Where the bytes that come belong; raises Refused if none come."""
        status = response.status_code
        if status in {200, 206} and response.headers.get("Content-Encoding", "identity") not in {
            "",
            "identity",
        }:
            raise Refused("it came compressed although that was not asked for")
        if status == 200:
            return 0
        if status in {206, 416}:
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            # A server that does not know If-Range sends the end of whatever lies there now.
            if status == 206 and goes_on and response.headers.get("ETag", resume_etag) == resume_etag:
                return have
            raise Refused(
                "the server cannot go on where the download stopped"
            )  # no etag kept: next time from the start
        # The part that is here is still good.
        raise Refused(
            f"its host answered {status}", expired=status in {400, 401, 403, 404, 410}, etag=resume_etag
        )

    def _publish(self, work: Download, part: Path, size: int, sha256: str) -> Saved | NotSaved:
        with self._disk.open(part, "rb") as file:
            kind = media.sniff(file.read(64))
            file.seek(0)
            problem = media.complete(file, size) if kind else "is no picture or video"
        if kind is None or problem:
            self._disk.remove(part)
            return NotSaved(why=f"what came {problem}")
        final = part.with_name(work.stem + kind.extension)
        if not self._disk.publish(part, final):
            if final.stat().st_size != size or _sha256(final) != sha256:
                return NotSaved(why=f"another file lies at {final}; move it away", local=True)
            self._disk.remove(part)
            self._disk.sync_folder(
                final.parent
            )  # whoever gave it its name may have died before that was durable
        return Saved(file=final.name, size=size, sha256=sha256)


def _strong_etag(response: httpx.Response) -> str:
    """The ETag, if it promises the same bytes (RFC 9110 §13.1.5: a weak one cannot be used in If-Range)."""
    etag = str(response.headers.get("ETag", ""))
    return "" if etag.startswith("W/") else etag


def _length(response: httpx.Response, start: int) -> int | None:
    value = response.headers.get("Content-Length")
    return start + int(value) if value and value.isdigit() else None


def _hash_start(file: IO[bytes], digest: Any, start: int) -> None:
    left = start
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)


def _copy(response: httpx.Response, file: IO[bytes], digest: Any, size: int) -> int:
    # As they come: pieces of a fixed size would be held back, and lost when the connection breaks.
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > _LARGEST:
            raise Refused("it does not end")
        file.write(chunk)
        digest.update(chunk)
    return size


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
