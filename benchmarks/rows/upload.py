"""A very large folder on its way to Astria."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks.catalog import Benchmark, Run
from benchmarks.peers import look_for
from benchmarks.process import TOKEN, Home, daemon, ended, mebibytes, until
from benchmarks.results import Figure, Goal, Result
from benchmarks.tree import ask

_MEBIBYTE = 1 << 20


def photos(folder: Path, mebibytes_wanted: float) -> tuple[int, int]:
    """So many bytes of photos, as hard links to one: how many files and bytes."""
    picture = Image.frombytes("RGB", (2400, 1600), os.urandom(2400 * 1600 * 3))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    first = folder / "0000.jpg"
    first.write_bytes(out.getvalue())
    count = -(-int(mebibytes_wanted * _MEBIBYTE) // len(out.getvalue()))
    for n in range(1, count):
        os.link(first, folder / f"{n:04}.jpg")
    return count, count * len(out.getvalue())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sink:
    """Where uploads go."""

    url: str
    notes: Path
    certificate: Path | None

    def taken(self) -> list[float]:
        """Seconds of each upload so far."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [json.loads(line)[1] for line in lines]


@contextlib.contextmanager
def _sink(top: Path, openssl: str | None) -> Iterator[_Sink]:
    """A process of its own; over TLS if there is an openssl to make it a certificate."""
    notes, files = top / "notes", [top / "certificate.pem", top / "key.pem"]
    if openssl is not None:
        named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        made = [openssl, "req", *kind, *named, "-out", str(files[0]), "-keyout", str(files[1])]
        subprocess.run(made, check=True, capture_output=True)
    certificate = files if openssl is not None else []
    command = [sys.executable, "-m", "benchmarks.sink", str(notes), *map(str, certificate)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        scheme = "https" if certificate else "http"
        url = f"{scheme}://127.0.0.1:{int(process.stdout.readline())}"
        yield _Sink(url=url, notes=notes, certificate=certificate[0] if certificate else None)


@dataclass(slots=True)
class _Rounds:
    """What was measured on one kind of line: seconds of the requests, and what the daemon's took besides."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)  # seconds from the drop until it is answered
    memory: list[float] = field(default_factory=list)  # the peak over that at rest


def _ours(home: Home, made: Path, sink: _Sink, rounds: _Rounds) -> None:
    home.write(
        sink.url, timing={"settle_seconds": 0.5}, astria={"base_url": sink.url, "timeout_seconds": 600}
    )
    trusting = ["env", f"SSL_CERT_FILE={sink.certificate}"] if sink.certificate else []
    before = len(sink.taken())
    with daemon(home, TOKEN, prefix=trusting) as alone:
        alone.at_rest()
        idle, began = mebibytes(alone.pid), time.monotonic()
        made.rename(home.inbox / "photos")
        until(lambda: len(sink.taken()) > before, seconds=900, every=0.1)
        until(lambda: ask(home.state, "SELECT 1 FROM tunes WHERE state IN ('training', 'ready')"))
        rounds.whole.append(time.monotonic() - began)
        rounds.memory.append(mebibytes(alone.pid, "VmHWM") - idle)
    rounds.ours.append(sink.taken()[-1])


def _curl(path: str, folder: Path, sink: _Sink, rounds: _Rounds) -> None:
    fields = [f"tune[images][]=@{file}" for file in sorted(folder.iterdir())]
    forms = [part for one in fields for part in ("-F", one)]
    trusting = ["--cacert", str(sink.certificate)] if sink.certificate else []
    # HTTP/1.1 is what both speak; what it says of itself goes nowhere.
    quiet = [path, "-q", "-s", "--http1.1", "-o", os.devnull]
    subprocess.run([*quiet, *trusting, *forms, "-F", "tune[title]=photos", f"{sink.url}/tunes"], check=True)
    rounds.theirs.append(sink.taken()[-1])


def _round(top: Path, wanted: float, curl: str | None, openssl: str | None, rounds: _Rounds) -> str:
    """One upload of ours and one of curl's, to a sink that knows of no folder yet; says what was sent."""
    home, made = Home(top), top / "made"
    home.inbox.mkdir()
    (home.inbox / "there.txt").write_text("an inbox with something in it")
    made.mkdir()
    count, size = photos(made, wanted)
    with _sink(top, openssl) as sink:
        _ours(home, made, sink, rounds)
        if curl is not None:
            _curl(curl, home.inbox / "photos", sink, rounds)
    shutil.rmtree(home.inbox)
    return f"{count} photos, {size / _MEBIBYTE:,.0f} MiB in one request."


def _span(what: str, rounds: _Rounds) -> Figure:
    goals = [Goal(most=1.2, of="curl -F")]
    return Figure(what=what, unit="s", ours=rounds.ours, beside={"curl -F": rounds.theirs}, goals=goals)


def _measure(run: Run) -> Result:
    peers, wanted = look_for(["curl", "openssl"]), run.pick(1024.0, 8.0)
    curl, openssl = peers.here.get("curl"), peers.here.get("openssl")
    plain, secret = _Rounds(), _Rounds()
    said = ""
    for _ in range(run.times(5)):
        said = _round(run.folder("upload"), wanted, curl, None, plain)
        if openssl is not None:
            _round(run.folder("upload"), wanted, curl, openssl, secret)
    return Result(
        figures=(
            _span("the request, from its head to its last byte, without TLS", plain),
            _span("the same over TLS, as to Astria", secret),
            Figure(
                what="memory, its peak over that at rest",
                unit="MiB",
                ours=plain.memory + secret.memory,
                goals=[Goal(most=8)],
            ),
            Figure(
                what="from the drop to answered, with settling and decoding each picture",
                unit="s",
                ours=plain.whole,
            ),
        ),
        said=(said,),
        skipped=peers.skipped,
        peers=peers.versions,
        size=f"{wanted:g} MiB in one folder",
    )


BENCHMARK = Benchmark(
    name="upload",
    title="A folder of a gibibyte of photos, uploaded in the one request that makes its tune.",
    how=(
        "the real daemon and curl in turn, to a process that reads everything into the same memory and keeps nothing, and notes how long it took; "
        "both spans are its own, from a request's head to its last byte. Memory is VmHWM against VmRSS at rest."
    ),
    limits=(
        "The kernel's copying out of files and into the socket: four fifths of the client's CPU, and the same for curl. On one machine client and "
        "receiver share the caches and often a core, so that every piece of either's CPU is time; a real line is slower than both. Over TLS most is "
        "encryption. Of the memory six sevenths are Pillow, for looking whether each picture is whole; that is also most of the time from the drop "
        "to the answer."
    ),
    tried=(
        "Pieces of 512 KiB instead of 256: a tenth less CPU where the C library keeps such pieces, a quarter more where it returns them to the system "
        "each time (210 page faults a MiB), and a slow line would have to take each within `timeout_seconds`. Pieces of 128 KiB: a tenth more. "
        "sendfile: as long, with less CPU, and not over TLS. A loop of readinto and send without httpx: a fifth less CPU, no less time. What did "
        "help: the lines between two photos go out with the next photo, not as three packets of their own, and files are read without a buffer between."
    ),
    measure=_measure,
)
