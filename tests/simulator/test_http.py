"""The stand-in over loopback: what only a socket can show."""

import contextlib
import gc
import socket
import threading
import time
import warnings
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from astria_sync.simulator import Fault, Options, Simulator, serve

GEMINI = 3618064
PROMPTS = f"/tunes/{GEMINI}/prompts"


@pytest.fixture
def client(sim):
    with httpx.Client(base_url=sim.base_url, headers={"Authorization": f"Bearer {sim.token}"}) as ready:
        yield ready


def order(client, text="a cat", **fields):
    return client.post(PROMPTS, data={"prompt[text]": text} | {f"prompt[{k}]": v for k, v in fields.items()})


def raw(sim, path):
    """Send a GET and read until the connection ends."""
    host, port = sim.base_url.removeprefix("http://").split(":")
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {sim.token}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as link:
        link.sendall(head.encode())
        return b"".join(iter(lambda: link.recv(65536), b""))


def test_a_prompt_goes_from_order_to_bytes(sim, client):
    """A prompt posted over HTTP has its pictures on the other port once its time has come."""
    made = order(client, num_images="2")
    assert made.status_code == 201
    assert client.get(f"/prompts/{made.json()['id']}").json()["images"] == []
    sim.advance(31)
    urls = client.get(f"/prompts/{made.json()['id']}.json").json()["images"]
    assert [httpx.get(url).content for url in urls] == [sim.picture_bytes(url) for url in urls]
    assert all(url.startswith(sim.pictures_url) for url in urls)
    assert not any(entry.authorization for entry in sim.ledger.pictures_served())


def test_pictures_may_lie_elsewhere():
    """Another server can be named for the pictures: lists lead there, and the stand-in's own host goes on beside it."""
    with Simulator(Options(generate_seconds=0, pictures_url="http://127.0.0.1:9")) as sim:
        headers = {"Authorization": f"Bearer {sim.token}"}
        with httpx.Client(base_url=sim.base_url, headers=headers) as client:
            (url,) = client.get(f"/prompts/{order(client).json()['id']}").json()["images"]
        assert url.startswith("http://127.0.0.1:9/")
        assert sim.picture_bytes(url)


def test_the_date_header_is_of_the_clock_that_dates_objects(sim, client):
    """After a push, Date and created_at are still one time."""
    sim.advance(1_000_000)
    answer = order(client)
    told = parsedate_to_datetime(answer.headers["date"])
    made = datetime.fromisoformat(answer.json()["created_at"])
    assert abs((told - made).total_seconds()) < 5
    assert answer.headers.get_list("date") == [answer.headers["date"]]


def test_head_and_ranges_over_the_wire(sim, client):
    """HEAD has the length and no body; a range arrives as asked; 304 is empty."""
    order(client)
    sim.advance(31)
    url = client.get("/prompts").json()[0]["images"][0]
    whole = sim.picture_bytes(url)
    head = httpx.head(url)
    assert (head.headers["content-length"], head.content) == (str(len(whole)), b"")
    part = httpx.get(url, headers={"Range": "bytes=100-"})
    assert (part.status_code, part.content) == (206, whole[100:])
    assert httpx.get(url, headers={"If-None-Match": head.headers["etag"]}).status_code == 304


def test_files_arrive_with_size_and_hash(sim, client):
    """The ledger knows every file by name, size and SHA-256, JSON fields by their names."""
    photo = b"\xff\xd8\xff" + bytes(300_000)
    files = [("tune[images][]", ("jäne.jpg", photo, "image/jpeg"))]
    tune = client.post(
        "/tunes", data={"tune[title]": "jane", "tune[model_type]": "faceid"}, files=files
    ).json()
    client.post(PROMPTS, json={"prompt": {"text": f"<faceid:{tune['id']}:1> woman", "seed": 5}})
    first, second = sim.ledger.requests("POST")
    assert [(file.filename, file.size) for file in first.files] == [("jäne.jpg", 300_003)]
    assert second.field("prompt[seed]") == 5
    assert httpx.get(tune["orig_images"][0]).content == photo
    assert sim.ledger.created_tunes()[0].request == first.number
    assert sim.ledger.created_prompts()[0].request == second.number


def test_an_answer_can_be_cut_at_every_byte(sim):
    """Whatever the byte, inside the head or the body, exactly that many arrive and the work is done."""
    whole = raw(sim, "/cli/models")
    for count in (*range(0, 240, 7), len(whole) - 1):
        sim.faults.add(Fault(kind="cut", cut_at=count))
        assert raw(sim, "/cli/models") == whole[:count]
    assert sim.ledger.requests()[-1].status == 200
    assert sim.ledger.requests()[-1].fault == f"cut at {len(whole) - 1}"


def test_a_cut_order_is_made_all_the_same(sim, client):
    """The answer is lost, the prompt is there."""
    sim.faults.add(Fault(kind="cut", cut_at=30, method="POST"))
    with pytest.raises(httpx.RemoteProtocolError):
        order(client)
    assert len(client.get("/prompts").json()) == 1


def test_a_refused_order_is_not_made(sim, client):
    """The connection is reset before the body is read, and the ledger says that nothing was answered."""
    sim.faults.add(Fault(kind="refuse", method="POST"))
    # A reset met while writing reads as "disconnected" to httpx, one met while reading as a network error.
    with pytest.raises(httpx.TransportError):
        order(client)
    assert client.get("/prompts").json() == []
    assert [(entry.status, entry.fault) for entry in sim.ledger.requests("POST")] == [(None, "refuse")]


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_hanging_order_is_made_or_not(sim, client, when, made):
    """No answer ever comes; the work is done only if the fault says so."""
    sim.faults.add(Fault(kind="hang", method="POST", when=when))
    with pytest.raises(httpx.ReadTimeout):
        client.post(PROMPTS, data={"prompt[text]": "cat"}, timeout=0.3)
    assert len(client.get("/prompts").json()) == made
    assert sim.ledger.requests("POST")[-1].status is None


def test_a_delayed_answer_comes(sim, client):
    """A delay is only that."""
    sim.faults.add(Fault(kind="delay", seconds=0.2, times=None))
    begun = time.monotonic()
    assert order(client).status_code == 201
    assert time.monotonic() - begun >= 0.2


def test_pictures_can_be_cut_too(sim, client):
    """A fault for the pictures host leaves the API alone."""
    order(client)
    sim.advance(31)
    sim.faults.add(Fault(kind="cut", cut_at=1000, host="pictures"))
    url = client.get("/prompts").json()[0]["images"][0]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url)
    assert httpx.get(url).content == sim.picture_bytes(url)


def test_an_upload_that_breaks_off_makes_nothing(sim):
    """Half a body is no order."""
    host, port = sim.base_url.removeprefix("http://").split(":")
    head = f"POST {PROMPTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sim.token}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((host, int(port))) as link:
        link.sendall(head.encode() + b"prompt[text]=cat")
    deadline = time.monotonic() + 5
    while not sim.ledger.requests("POST") and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert [entry.status for entry in sim.ledger.requests("POST")] == [None]
    assert sim.ledger.created_prompts() == []


@pytest.mark.parametrize(
    ("content_type", "body"), [("application/json", b"{"), ("multipart/form-data; boundary=b", b"--b")]
)
def test_a_body_that_cannot_be_read_is_a_400_in_the_ledger(sim, client, content_type, body):
    """Malformed bodies are answered and noted."""
    answer = client.post("/tunes", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert sim.ledger.requests("POST")[-1].status == 400


def test_the_control_calls_break_push_and_tell(sim, client):
    """A test in another process can add faults, push the clock, read the ledger and begin anew."""
    control = httpx.Client(base_url=sim.base_url + "/_simulator")
    with control:
        order(client)
        control.post("/faults", json=[{"kind": "status", "status": 503, "path": "^/users$"}])
        assert client.get("/users").status_code == 503
        before = control.get("/").json()["now"]
        assert control.post("/advance", json={"seconds": 100}).json()["now"] >= before + 100
        assert client.get("/prompts").json()[0]["images"]
        ledger = control.get("/ledger")
        assert len(ledger.json()["created"]) == 1
        assert sim.token not in ledger.text
        assert control.post("/faults", json={"seed": 1, "rate": 1.0}).status_code == 200
        assert control.delete("/faults").json() == []
        assert control.post("/faults", json={"kind": "explode"}).status_code == 422
        control.post("/balance", json={"usd": 1})
        control.post("/reset")
    assert client.get("/prompts").json() == []


def test_the_control_calls_are_for_this_machine_only(sim):
    """A page in a browser that reaches loopback under its own name or with an Origin is turned away."""
    url = f"{sim.base_url}/_simulator/"
    assert httpx.get(url).status_code == 200
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(url, headers={"Origin": "http://evil.example"}).status_code == 403


def test_many_run_at_once_and_end_at_once(sim, client):
    """Each has ports, token and objects of its own; ending does not wait for what hangs or is idle."""
    order(client)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(Simulator(Options(seed=n))) for n in range(8)]
        assert len({other.base_url for other in others} | {other.pictures_url for other in others}) == 16
        for other in others:
            assert httpx.get(f"{other.base_url}/users", headers=client.headers).status_code == 401
            assert other.ledger.created_prompts() == []
        others[0].faults.add(Fault(kind="hang"), Fault(kind="delay", seconds=60))
        idle = stack.enter_context(httpx.Client(base_url=others[0].base_url))
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                idle.get("/users", timeout=0.1)
        assert idle.get("/cli/models").status_code == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    with pytest.raises(httpx.ConnectError):
        httpx.get(others[0].base_url)


def test_it_starts_and_stops_in_no_time():
    """Tests start one each."""
    with Simulator():
        pass
    begun = time.monotonic()
    for _ in range(5):
        with Simulator():
            pass
    assert time.monotonic() - begun < 2.5


def test_the_clock_can_run_fast():
    """speed multiplies time: what takes an hour is there after a moment."""
    with Simulator(Options(speed=1e6, generate_seconds=3600)) as sim:
        headers = {"Authorization": f"Bearer {sim.token}"}
        httpx.post(sim.base_url + PROMPTS, data={"prompt[text]": "cat"}, headers=headers)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if httpx.get(f"{sim.base_url}/prompts", headers=headers).json()[0]["images"]:
                break
        else:
            pytest.fail("no pictures")


def test_serve_announces_and_ends_when_told():
    """The foreground command says address and token, and ends with its event."""
    said, stop = [], threading.Event()
    announced = threading.Event()

    def announce(line):
        said.append(line)
        if len(said) == 2:
            announced.set()

    thread = threading.Thread(target=serve, args=(Options(),), kwargs={"announce": announce, "stop": stop})
    thread.start()
    assert announced.wait(5)
    url, token = said[0].split()[2], said[1].split()[1]
    assert httpx.get(f"{url}/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_client_that_comes_at_the_end_leaves_nothing_open():
    """A connection that is accepted in the turn in which the stand-in ends is closed like all others."""
    for _ in range(10):
        with contextlib.ExitStack() as clients:
            with Simulator() as sim:
                where = ("127.0.0.1", int(sim.base_url.rpartition(":")[2]))
                client = clients.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(where)
            del sim
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        assert [str(one.message) for one in told] == []


def test_a_port_that_is_taken_is_an_error_at_once(sim):
    """Nothing is left open when one of the two ports cannot be had."""
    port = int(sim.pictures_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Simulator(Options(pictures_port=port))
