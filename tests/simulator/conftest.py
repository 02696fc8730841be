"""A model with a clock in the hand, and a running stand-in."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from astria_sync.simulator import Astria, Options, Request, Simulator
from astria_sync.simulator.forms import Upload

GEMINI, SEEDREAM, FLUX = 3618064, 3691308, 1504944


def photo(colour="red", size=(64, 64)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


class Bench:
    """The model driven by plain calls, at a time that only `now` moves."""

    def __init__(self, **options):
        self.now = 1_800_000_000.0
        options = {"train_seconds": 600, "generate_seconds": 30} | options
        self.astria = Astria(Options(**options), clock=lambda: self.now, seed=1)
        self.ledger = self.astria.ledger

    def call(self, method, path, fields=(), files=(), *, headers=None, token=None, host="api", fault=None):
        path, _, query = path.partition("?")
        known = {"authorization": f"Bearer {token or self.astria.token}"} if host == "api" else {}
        request = Request(
            method=method,
            path=path,
            query=query,
            headers=known | (headers or {}),
            fields=tuple(dict(fields).items()) if isinstance(fields, dict) else tuple(fields),
            files=tuple(files),
            host=host,
        )
        return self.astria.handle(request, fault)

    def get(self, path, **more):
        return self.call("GET", path, **more).json()

    def tune(self, title="jane", model_type="faceid", *, expect=201, headers=None, **fields):
        given = {"tune[title]": title, "tune[name]": "woman", "tune[model_type]": model_type}
        given |= {f"tune[{key}]": value for key, value in fields.items()}
        files = [("tune[images][]", Upload("1.jpg", "image/jpeg", photo()))]
        answer = self.call("POST", "/tunes", given, files, headers=headers)
        assert answer.status == expect, answer
        return answer.json()

    def prompt(self, text="a red cat", tune=GEMINI, *, expect=201, headers=None, **fields):
        given = {"prompt[text]": text} | {f"prompt[{key}]": value for key, value in fields.items()}
        answer = self.call("POST", f"/tunes/{tune}/prompts", given, headers=headers)
        assert answer.status == expect, answer
        return answer.json()

    def picture(self, url, method="GET", **headers):
        path, _, query = url.removeprefix("http://pictures.astria.test").partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(method, f"{path}?{query}", headers=named, host="pictures")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make_bench() -> type[Bench]:
    return Bench


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Its clock goes on only where it is pushed, so that an answer, which tells the time, is the same twice."""
    with Simulator(Options(train_seconds=600, generate_seconds=30, speed=0)) as running:
        yield running
