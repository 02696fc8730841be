"""Pictures to disk. This client does not know the token: pictures lie on other hosts, which must not get it.

A file under its final name is always whole: hidden temporary name in the same folder, length and structure checked, fsync,
rename without replacing, fsync of the folder (disk.py). A server that keeps us waiting is given up, and what it sent is kept.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import httpx

from astria_sync import media, picturehosts
from astria_sync.api import USER_AGENT, certificates, no_cookies
from astria_sync.connections import Connections
from astria_sync.core.naming import temporary_name
from astria_sync.core.speed import LEAST, WINDOW, Speed
from astria_sync.core.work import Download, NotSaved, Saved
from astria_sync.disk import Disk, leads_out, write_all
from astria_sync.reads import Reads, TooSlow
from astria_sync.seen import Seen

_REDIRECTS: Final = 5
_LONGEST_WHY: Final = 300  # characters of what a library says, which may hold what the server sent
_CHUNK: Final = 256 * 1024
# Seconds for connection, redirects and the head of the answer. A picture's host has its files ready: it needs one.
_HEAD: Final = 120.0
# Bytes; nothing of Astria's comes near: its largest pictures have some 50 MB.
_LARGEST: Final = 8 * 1024**3
_LARGEST_STILL: Final = 512 * 1024**2
# Bytes of the disk that a picture leaves free: the state may lie on the same one.
_FLOOR: Final = 64 * 1024**2
_LOOK: Final = 16 * 1024**2  # bytes between looks at how much is free


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`plain_http`: Astria itself is a stand-in on this machine, over http; then its pictures may be."""
        self._disk = disk or Disk()
        self._clock = clock
        self._seen = Seen(clock)
        self._reads = Reads(clock)
        self._hosts = picturehosts.PictureHosts(local=plain_http)
        if transport is None and (plain_http or not picturehosts.proxied()):  # no proxy leads to this machine
            transport = Connections(connections, certificates())
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # Decompression could blow 300 kB up to 300 MB, and bytes are to be kept as served.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookies=no_cookies(),
            verify=certificates(),
            transport=transport,
            trust_env=not plain_http,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, work: Download) -> Saved | NotSaved:
        """Download one picture, going on where a former attempt stopped if the server still has the same one."""
        part = work.folder / temporary_name(work.stem)
        if why := self._out_of_place(work):
            return NotSaved(why=why, etag=work.resume_etag, kept=work.resume_at, local=True)
        self._reads.limit(self._clock() + _HEAD, f"its host did not answer within {_HEAD:.0f} s")
        try:
            self._disk.make_folder(work.folder)
            return self._fetch(work, part)
        except Refused as refusal:
            if not refusal.result.etag:  # what is here is not gone on with
                with suppress(OSError):
                    self._disk.remove(part)
            return refusal.result
        except (picturehosts.HostRefusedError, TooSlow, httpx.HTTPError) as error:
            return NotSaved(why=_why(error), etag=work.resume_etag, kept=work.resume_at)
        except (httpx.InvalidURL, ValueError) as error:
            return NotSaved(why=f"its address is none ({error})"[:_LONGEST_WHY], expired=True)
        except OSError as error:
            with suppress(OSError):
                self._disk.remove(part)
            return NotSaved(
                why=f"{error.filename or work.folder} cannot be written ({error.strerror})", local=True
            )

    def _fetch(self, work: Download, part: Path) -> Saved | NotSaved:
        # Of what was written since the last sync a power cut may have left anything, zeros of the right length included.
        have = min(self._disk.size(part), work.resume_at) if work.resume_etag else 0
        headers = {"Range": f"bytes={have}-", "If-Range": work.resume_etag} if have else {}
        with self._get(work.url, headers) as response:
            start = self._start(response, have, work)
            etag = _strong_etag(response) or (work.resume_etag if start else "")
            total = _length(response, start)
            digest = hashlib.sha256()
            with self._disk.open(part, "r+b") if start else self._disk.begin(part) as file:
                if start:
                    _hash_start(file, digest, start)
                    file.truncate()
                self._check_room(part, total, etag, start)
                speed = Speed(self._clock())
                broken = self._copy(response, file, part, digest, start, speed)
                size = start + speed.total
                # Also of a part: whoever goes on with it after a power cut relies on what is noted of it.
                self._disk.sync(file)
                if not broken and total is not None and size != total:
                    broken = f"the connection ended after {size:,} of {total:,} bytes"
                if broken:
                    return NotSaved(why=broken, etag=etag, kept=size, moved=speed.total >= LEAST)
                kind, problem = media.examine(file, size)
        if kind is None or problem:
            self._disk.remove(part)
            return NotSaved(why=f"what came {problem}")
        return self._publish(part, work.stem + kind.extension, size, digest.hexdigest())

    def _out_of_place(self, work: Download) -> str:
        """Why nothing may be written there; "" if something may."""
        folder, output, mount = work.folder, work.output, work.mount
        there = self._disk.identity(folder)
        if not self._lately(there, mount, lambda: self._disk.mounted(mount)):
            return f"the disk of {folder} is not mounted"
        if output and not self._lately(there, output, lambda: not leads_out(folder, output)):
            return f"{folder} leads out of {output} by a link; remove the link"
        return ""

    def _lately(self, there: tuple[int, int] | None, what: str | Path, ask: Callable[[], bool]) -> bool:
        """As Seen, of the very folder that is there: where there is none, the disk may have gone since it was asked."""
        return ask() if there is None else self._seen.lately((there, what), ask)

    def _copy(
        self, response: httpx.Response, file: IO[bytes], part: Path, digest: Any, start: int, speed: Speed
    ) -> str:
        """The body into the file; "" at its end, or why it broke off. Raises Refused for what cannot be a picture."""
        head, largest, looked = b"", _LARGEST, start
        why = f"it comes too slowly (less than {LEAST // 1024} kB in {WINDOW:.0f} s)"
        try:
            self._reads.limit(speed.until, why)
            # As they come: pieces of a fixed size would be held back, and lost when the connection breaks.
            for chunk in response.iter_raw():
                write_all(file, chunk)
                digest.update(chunk)
                speed.took(len(chunk), self._clock())
                self._reads.limit(speed.until, why)
                self._reads.check()
                size = start + speed.total
                if not start and len(head) < media.HEAD_BYTES:
                    head += bytes(chunk[: media.HEAD_BYTES])
                    largest = _largest(head)
                if size > largest:
                    raise Refused("it does not end")
                if size - looked > _LOOK:
                    looked = size
                    self._check_room(part, None, "", 0)
        except (httpx.HTTPError, TooSlow) as error:
            return _why(error)
        return ""

    def _check_room(self, part: Path, total: int | None, etag: str, start: int) -> None:
        """Raise Refused if the disk has no room for the rest: a disk that is filled up takes more with it than one picture."""
        rest = 0 if total is None else max(0, total - start)
        free = self._disk.free(part.parent)
        if free < rest + _FLOOR:
            why = f"{part.parent} has {free / 1e6:,.0f} MB free, which is not enough; make room"
            raise Refused(why, local=True, etag=etag, kept=start)

    def _guarded(self, url: httpx.URL) -> Callable[[str, Mapping[str, Any]], None]:
        """What watches the connection for this address (httpcore's trace); raises if it is not even to be tried."""
        host = url.raw_host.decode("ascii")
        port = 443 if url.port is None else url.port
        if not re.fullmatch(r"[\w.:-]+(%25\w+)?", host) or not 0 < port <= 65535:
            raise ValueError("it names no host")
        guard = self._hosts.guard(scheme=url.scheme, host=host, userinfo=bool(url.userinfo))

        def trace(event: str, info: Mapping[str, Any]) -> None:
            guard(event, info)
            self._reads.on_trace(event, info)

        return trace

    @contextmanager
    def _get(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The final answer, after redirects, each of which must be to an allowed address."""
        for _ in range(_REDIRECTS + 1):
            address = httpx.URL(url)
            trace = {"trace": self._guarded(address)}
            with self._client.stream("GET", address, headers=headers, extensions=trace) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                url = str(response.url.join(response.headers["Location"]))
        raise Refused("it is redirected without end")

    @staticmethod
    def _start(response: httpx.Response, have: int, work: Download) -> int:
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
            if (
                status == 206
                and goes_on
                and response.headers.get("ETag", work.resume_etag) == work.resume_etag
            ):
                return have
            raise Refused(
                "the server cannot go on where the download stopped"
            )  # no etag kept: next time from the start
        # The part that is here is still good.
        raise Refused(
            f"its host answered {status}",
            expired=status in {400, 401, 403, 404, 410},
            etag=work.resume_etag,
            kept=work.resume_at,
        )

    def _publish(self, part: Path, name: str, size: int, sha256: str) -> Saved | NotSaved:
        final = part.with_name(name)
        if not self._disk.publish(part, final):
            if not self._is_there(final, size, sha256):
                return NotSaved(why=f"another file lies at {final}; move it away", local=True)
            self._disk.remove(part)
            self._disk.sync_folder(
                final.parent
            )  # whoever gave it its name may have died before that was durable
        return Saved(file=final.name, size=size, sha256=sha256)

    def _is_there(self, final: Path, size: int, sha256: str) -> bool:
        """Whether the file under the final name is the very picture: its recording was lost in a crash."""
        try:
            with self._disk.open(final, "rb") as file:
                same, digest = file.seek(0, os.SEEK_END) == size, hashlib.sha256()
                file.seek(0)
                _hash_start(file, digest, size if same else 0)
                return same and digest.hexdigest() == sha256
        except OSError:  # a link, a folder, a pipe
            return False


def _strong_etag(response: httpx.Response) -> str:
    """The ETag, if it promises the same bytes (RFC 9110 §13.1.5: a weak one cannot be used in If-Range)."""
    etag = str(response.headers.get("ETag", ""))
    return etag if re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', etag) else ""


def _why(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:_LONGEST_WHY]


def _length(response: httpx.Response, start: int) -> int | None:
    value = response.headers.get("Content-Length")
    return start + int(value) if value and value.isdigit() else None


def _hash_start(file: IO[bytes], digest: Any, start: int) -> None:
    left = start
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)


def _largest(head: bytes) -> int:
    """Bytes that something which begins like this may have; raises Refused as soon as it is surely no picture."""
    kind = media.sniff(head)
    if kind is None and len(head) >= media.HEAD_BYTES:
        raise Refused("what came is no picture or video")
    return _LARGEST if kind in {None, media.MP4} else _LARGEST_STILL
