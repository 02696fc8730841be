"""`doctor`: everything outside of this program that it needs, each told as ok, a warning or an error, with what to do."""

import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import astria_sync
from astria_sync.answers import http_date
from astria_sync.core.retry import Answer, NoAnswer, judge_read, message, the_object
from astria_sync.core.whole import as_int
from astria_sync.errors import AstriaSyncError
from astria_sync.machine import notifications, on_disk, packages, patiently, unit
from astria_sync.reading import reading
from astria_sync.settings import Settings
from astria_sync.surroundings import ERROR, OK, WARNING, Check, inotify, output, root, state_file

_SKEW: Final = 60.0  # seconds between this clock and Astria's
_PATIENCE: Final = 15.0  # seconds for Astria's answer: somebody is waiting
_IN_ALL: Final = 25.0  # ... with the looking up of its name
_ON_DISK: Final = 10.0  # seconds for a folder
_COUNTING: Final = 30.0  # seconds for many


def examine(
    settings: Settings, *, environ: Mapping[str, str], home: Path, profile: str | None = None
) -> Iterator[Check]:
    """Every check, as it is done; the network last, since it may take a while. None takes longer than it is given."""
    yield from versions()
    yield from packages()
    yield from _configuration(settings)
    for watch in settings.watch:
        yield from on_disk(partial(root, watch), "watched", watch.path, _ON_DISK)
        yield from on_disk(partial(output, watch), "output", watch.output, _ON_DISK)
    yield from on_disk(partial(inotify, settings), "inotify", "Counting the folders", _COUNTING)
    yield from on_disk(partial(state_file, settings), "state", settings.state, _COUNTING)
    yield from unit(profile, environ)
    yield from notifications(settings, environ, home)
    yield from _account(settings, environ, home)


def worst(checks: list[Check]) -> int:
    """The exit code: a refused token tells more than another error."""
    return max((check.code for check in checks), default=0)


def versions() -> Iterator[Check]:
    """What runs here."""
    yield Check(
        about="versions",
        level=OK,
        text=f"astria-sync {astria_sync.__version__}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}{_wal(sqlite3.sqlite_version_info)}, {platform.system()} {platform.release()}",
    )
    if not sys.platform.startswith("linux"):
        yield Check(
            about="versions",
            level=WARNING,
            text=f"{platform.system()} is not tested; what changes in folders is noticed by looking at them every so often.",
        )


def _wal(version: tuple[int, ...]) -> str:
    """A fault of SQLite's that needs two writers, and here is one."""
    return " (with a fault of before 3.51.3 that astria-sync does not meet)" if version < (3, 51, 3) else ""


def _configuration(settings: Settings) -> Iterator[Check]:
    where = str(settings.file) if settings.file else "none; the defaults hold"
    if settings.watch:
        yield Check(about="configuration", level=OK, text=where)
    else:
        do = "add a [[watch]] with a path, or make a configuration with: astria-sync init"
        yield Check(
            about="configuration", level=ERROR, text=f"{where}: no folder is watched.", do=do, exit_code=2
        )


# Astria


def _account(settings: Settings, environ: Mapping[str, str], home: Path) -> Iterator[Check]:
    from astria_sync.api import Api
    from astria_sync.secrets import require_token

    try:
        token = require_token(settings.astria, environ=environ, home=home)
    except AstriaSyncError as error:
        yield Check(about="token", level=ERROR, text=str(error), exit_code=error.exit_code)
        return
    api = Api(
        settings.astria.base_url, lambda: token, timeout=min(_PATIENCE, settings.astria.timeout_seconds)
    )
    base, proxy = settings.astria.base_url, proxy_for(settings.astria.base_url, environ)

    def ask() -> Iterator[Check]:
        with closing(api):
            yield from judge(base, token.source, _timed(lambda: api.get("/users")), proxy)

    late = _unreachable(base, token.source, f"no answer within {_IN_ALL:g} s", proxy)
    yield from patiently(ask, seconds=_IN_ALL, late=late)
    yield _idempotency(settings.state)


def proxy_for(base_url: str, environ: Mapping[str, str]) -> str:
    """The proxy that is on the way to Astria and the variable that says so, without its password; "" if there is none."""
    if not base_url.startswith("https:"):
        return ""  # no proxy may read what is sent in the clear
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        if value := environ.get(name, "").strip():
            return f"{value.rpartition('@')[2].removeprefix('http://').rstrip('/')} ({name})"
    return ""


def _idempotency(state: Path) -> Check:
    """Astria shows the setting nowhere; only an answer to a paid request gives it away."""
    about, seen = "idempotency", "SELECT 1 FROM {} WHERE reason LIKE '%(idempotency is on%' LIMIT 1"
    with suppress(AstriaSyncError), reading(state) as connection:
        tables = ("tunes", "prompts") if connection else ()
        if connection and any(connection.execute(seen.format(table)).fetchone() for table in tables):
            do = "`astria-sync status` shows what it concerns"
            return Check(
                about=about,
                level=OK,
                text="on: Astria has answered with something that was there before.",
                do=do,
            )
    text = "Astria tells it only by its answer to a paid request, so nobody asks; on or off, each prompt has a seed of its own."
    return Check(about=about, level=OK, text=text)


def _timed(ask: Callable[[], Answer | NoAnswer]) -> tuple[Answer | NoAnswer, float]:
    """An answer, and this machine's time in the middle of it."""
    before = time.time()
    answer = ask()
    return answer, (before + time.time()) / 2


def _unreachable(base_url: str, source: str, why: str, proxy: str) -> Iterator[Check]:
    text = f"{base_url} cannot be reached: {why}; the token from {source} could not be tried."
    do = "nothing is lost meanwhile: work goes on by itself when the network is back"
    if "CERTIFICATE_VERIFY_FAILED" in why:
        do = "set the clock if it is wrong; where a proxy reads along, name its certificates in SSL_CERT_FILE"
    yield Check(
        about="network",
        level=WARNING,
        text=text,
        do=f"see whether the proxy {proxy} is there; {do}" if proxy else do,
    )


def judge(
    base_url: str, source: str, asked: tuple[Answer | NoAnswer, float], proxy: str = ""
) -> Iterator[Check]:
    """What `GET /users` told: network, token, balance, clock."""
    answer, moment = asked
    if isinstance(answer, NoAnswer):
        yield from _unreachable(base_url, source, answer.why, proxy)
        return
    verdict = judge_read(answer)
    if verdict == "unauthorised":
        yield Check(about="network", level=OK, text=f"{base_url} answers")
        words = " ".join(message(answer).split()).rstrip(".")
        text = f"Astria does not accept the token from {source}: {words}."
        do = "put a valid one there (astria.ai/users/edit#api)"
        yield Check(about="token", level=ERROR, text=text, do=do, exit_code=4)
    elif verdict != "ok":
        late = verdict == "later" and answer.status != 200
        text = f"{base_url} answers with HTTP {answer.status}: {' '.join(message(answer).split())[:200]}."
        do = "try again later" if late else "correct base_url, or ASTRIA_BASE_URL"
        yield Check(about="network", level=WARNING if late else ERROR, text=text, do=do)
    else:
        through = f", through the proxy {proxy}" if proxy else ""
        yield Check(about="network", level=OK, text=f"{base_url} answers{through}")
        yield from _user(the_object(answer.body) or {}, source)
    yield from _clock(answer.date, moment)


def _user(user: Mapping[str, Any], source: str) -> Iterator[Check]:
    who = user.get("email") or user.get("name") or f"user {user.get('id', 'without a name')}"
    yield Check(about="token", level=OK, text=f"from {source}, of {who}")
    balance = as_int(user.get("usd_balance_mc"))
    if balance is None:
        return
    text = f"${balance / 100_000:.2f}"
    if balance <= 0:
        yield Check(about="balance", level=WARNING, text=text, do="top it up; until then prompts rest")
    else:
        yield Check(about="balance", level=OK, text=text)


def _clock(date: str, moment: float) -> Iterator[Check]:
    theirs = http_date(date)
    if theirs is None:
        return
    skew = moment - theirs
    # The header counts whole seconds.
    if abs(skew) > _SKEW:
        text = f"This clock is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} Astria's."
        do = "set it (timedatectl set-ntp true): links to pictures and the day's sum go by it"
        yield Check(about="clock", level=WARNING, text=text, do=do)
    else:
        yield Check(about="clock", level=OK, text="agrees with Astria's")
