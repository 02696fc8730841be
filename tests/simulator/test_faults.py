"""Faults: which requests they hit, and what becomes of the work."""

import json
import subprocess
import sys

import httpx
import pytest

from astria_sync.simulator import Fault, random_faults
from astria_sync.simulator.faults import Faults

GEMINI = 3618064
PROMPTS = f"/tunes/{GEMINI}/prompts"


def test_a_fault_hits_what_it_matches_so_many_times():
    """Method, path and host choose; skip and times count only what matches."""
    faults = Faults()
    faults.add(Fault(kind="refuse", method="POST", path=r"/prompts$", host="api", skip=1, times=2))
    assert faults.take("GET", PROMPTS, "api") is None
    assert faults.take("POST", PROMPTS, "pictures") is None
    hits = [faults.take("POST", PROMPTS, "api") is not None for _ in range(4)]
    assert hits == [False, True, True, False]
    assert faults.pending() == []


def test_the_first_fault_that_applies_decides_and_clear_ends_all():
    """Faults stand in line; those for ever stay until cleared."""
    faults = Faults()
    faults.add(Fault(kind="refuse"), Fault(kind="status", times=None))
    assert [faults.take("GET", "/", "api").kind for _ in range(3)] == ["refuse", "status", "status"]
    faults.clear()
    assert faults.take("GET", "/", "api") is None


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("kind", ["status", "garbage"])
def test_an_error_comes_before_or_after_the_work(bench, kind, when, made):
    """A 504 can hide a prompt that was made and paid for."""
    fault = Fault(kind=kind, status=504, when=when)
    answer = bench.call("POST", PROMPTS, {"prompt[text]": "cat"}, fault=fault)
    assert answer.status == (504 if kind == "status" else 200)
    assert len(bench.ledger.created_prompts()) == made
    assert bench.ledger.requests()[-1].fault == fault.label
    if kind == "garbage":
        with pytest.raises(json.JSONDecodeError):
            answer.json()


def test_a_status_brings_its_body_and_headers(bench):
    """Retry-After and a body of choice."""
    fault = Fault(kind="status", status=429, body="slow", headers=(("Retry-After", "7"),))
    answer = bench.call("GET", "/tunes", fault=fault)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, b"slow", "7")


@pytest.mark.parametrize("status", [204, 302, 304, 402, 418, 500, 503, 599])
def test_any_status_can_be_answered(sim, status):
    """The server carries whatever status a fault names, redirects with their Location."""
    sim.faults.add(Fault(kind="status", status=status, headers=(("Location", "http://elsewhere.example/"),)))
    answer = httpx.get(f"{sim.base_url}/users")
    assert (answer.status_code, answer.headers["location"]) == (status, "http://elsewhere.example/")


def test_stale_lists_show_an_earlier_time(bench):
    """A stale list lacks what is new and has what was deleted since; single objects are not stale."""
    old = bench.prompt("old")
    bench.now += 100
    new = bench.prompt("new")
    bench.call("DELETE", f"/prompts/{old['id']}")
    stale = Fault(kind="stale", seconds=50)
    assert [prompt["id"] for prompt in bench.get("/prompts", fault=stale)] == [old["id"]]
    assert bench.call("GET", f"/prompts/{new['id']}", fault=stale).status == 200
    assert [prompt["id"] for prompt in bench.get("/prompts")] == [new["id"]]


def test_stale_lists_show_earlier_states(bench):
    """A prompt that is done looks unfinished in a stale list."""
    bench.prompt()
    bench.now += 30
    assert bench.get("/prompts", fault=Fault(kind="stale", seconds=10))[0]["images"] == []


def test_random_faults_follow_their_seed():
    """The same seed gives the same trouble whatever the order of the requests, another seed another."""
    addresses = [("GET", f"/prompts/{n}", "api") for n in range(40)] * 3

    def schedule(seed, order):
        source = random_faults(seed, 0.5)
        return [(address, source.take(*address)) for address in order]

    one = schedule(1, addresses)
    assert one == schedule(1, addresses)
    assert one != schedule(2, addresses)
    assert 30 < sum(fault is not None for _, fault in one) < 90
    assert sorted(one, key=str) == sorted(schedule(1, addresses[::-1]), key=str)


def test_a_fault_travels_as_json_and_unknown_words_are_named():
    """The control calls take what as_json gives, and say what they do not know."""
    fault = Fault(kind="cut", cut_at=7, headers=(("A", "b"),))
    assert Fault.from_json(json.loads(json.dumps(fault.as_json()))) == fault
    with pytest.raises(ValueError, match="cutt"):
        Fault.from_json({"kind": "cut", "cutt": 1})
    with pytest.raises(ValueError, match="no fault is called"):
        Fault(kind="explode")


def test_importing_the_package_is_cheap():
    """Neither uvicorn nor Pillow is loaded before something is used."""
    check = "import sys, astria_sync.simulator; print({'uvicorn', 'PIL', 'starlette'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
