"""The state of the stand-in, and what one call sees of it."""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlencode

from astria_sync.simulator import catalog
from astria_sync.simulator.forms import Upload
from astria_sync.simulator.ledger import Ledger
from astria_sync.simulator.messages import RefusedError, Request
from astria_sync.simulator.options import Options, Workspace
from astria_sync.simulator.records import Pack, Prompt, R, Record, Shelf, Tune

ALL = "all"
NOT_FOUND = {"error": "Not Found", "status": 404}


class Links:
    """Addresses on the pictures host, signed for a time if asked."""

    def __init__(self, base: str, seconds: float | None, secret: str) -> None:
        self.base, self.seconds, self.secret = base, seconds, secret

    def url(self, path: str, now: float) -> str:
        if not path.startswith("/"):
            return path
        if self.seconds is None:
            return self.base + path
        expires = f"{now + self.seconds:.3f}"
        return f"{self.base}{path}?{urlencode({'expires': expires, 'signature': self._sign(path, expires)})}"

    def valid(self, path: str, query: str, now: float) -> bool:
        if self.seconds is None:
            return True
        values = parse_qs(query)
        expires, signature = values.get("expires", [""])[0], values.get("signature", [""])[0]
        return bool(expires) and signature == self._sign(path, expires) and now < float(expires)

    def _sign(self, path: str, expires: str) -> str:
        return hashlib.sha256(f"{self.secret} {path} {expires}".encode()).hexdigest()[:32]


class World:
    """Everything the service knows; only the model's lock keeps it whole."""

    def __init__(self, options: Options, now: float, *, seed: int, api_url: str, pictures_url: str) -> None:
        self.options = options
        self.ledger = Ledger()
        self.api_url = api_url
        self.dice = random.Random(f"astria {seed}")
        self.salt = f"{seed} {self.dice.getrandbits(64)}"
        self.links = Links(pictures_url, options.link_seconds, self.salt)
        self.tunes: Shelf[Tune] = Shelf()
        self.prompts: Shelf[Prompt] = Shelf()
        self.packs: Shelf[Pack] = Shelf()
        self.uploads: dict[str, tuple[Upload, float]] = {}
        self.pictures: dict[str, tuple[Prompt, int]] = {}
        self.workspaces: dict[int, Workspace] = {space.id: space for space in options.workspaces}
        self.landing: dict[int, dict[str, Any]] = {}
        self.balance_mc = round(options.balance_usd * 100_000)
        self._ids = {"tune": 5_000_000, "prompt": 30_000_000, "order": 70_000, "pack": 900, "workspace": 700}
        for tune in catalog.base_tunes(now):
            self.tunes.add(tune)
        for pack in catalog.packs(now):
            self.packs.add(pack)

    def new_id(self, kind: str) -> int:
        """Give the next id; there are gaps, since other people use the service too."""
        self._ids[kind] += self.dice.randint(1, 9)
        return self._ids[kind]

    def picture_path(self, *what: object) -> str:
        return "/" + hashlib.sha256(f"{self.salt} {what}".encode()).hexdigest()[:28]

    def keep(self, upload: Upload, now: float) -> str:
        """Store a file that came in where the pictures host can serve it."""
        path = self.picture_path("upload", len(self.uploads), upload.filename)
        self.uploads[path] = upload, now
        return path

    def root_of(self, tune: Tune) -> int:
        return catalog.root_of(tune, self.tunes.get)

    def charge(self, cost_mc: int) -> None:
        if cost_mc > self.balance_mc:
            raise RefusedError(402, {"error": "Your balance is used up. Please add funds to continue."})
        self.balance_mc -= cost_mc


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One authorised request, with the scope it works in and the two times that matter."""

    request: Request
    params: dict[str, Any]
    scope: int | str | None
    now: float
    listed_at: float
    """Lists are answered as of this time; it lies behind `now` when they lag or are stale."""

    @property
    def home(self) -> int | None:
        """The workspace that new objects belong to, None for the personal scope."""
        return self.scope if isinstance(self.scope, int) else None

    def sees(self, record: Record) -> bool:
        return self.scope in (ALL, record.workspace_id)

    def group(self, name: str) -> dict[str, Any]:
        """Give the fields under `tune[…]`, `prompt[…]` and the like."""
        value = self.params.get(name)
        return value if isinstance(value, dict) else {}

    def query(self, name: str) -> str | None:
        values = self.query_all(name)
        return values[-1] if values else None

    def query_all(self, name: str) -> list[str]:
        return [value for key, value in self.request.pairs if key in {name, f"{name}[]"} and value]


def number(text: object, what: str = "id") -> int:
    try:
        return int(str(text))
    except ValueError:
        raise RefusedError(400, {"error": f"{what} must be a number"}) from None


def page(
    call: Call, shelf: Shelf[R], keep: Callable[[R], bool], *, deepest: int, what: str, limit: int = 20
) -> Iterator[R]:
    """Cut one page out of a list, newest first, by the documented rules."""
    offset = number(call.query("offset") or 0, "offset")
    if offset > deepest:
        raise RefusedError(
            400, {"error": f"offset is limited to {deepest} for {what}; page with before_id instead"}
        )
    size = max(1, min(number(call.query("limit") or limit, "limit"), 120))
    before = call.query("before_id")
    records: Iterable[R] = shelf.newest(None if before is None else number(before, "before_id"))
    return islice((record for record in records if keep(record)), offset, offset + size)


def many(given: dict[str, Any], name: str) -> list[Any]:
    """Give a field's values, also when it came without its brackets."""
    value = given.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def truth(value: object) -> bool:
    """Read a boolean as Rails does."""
    return str(value).lower() not in {"", "none", "false", "0", "f", "off"}
