"""The token goes to `base_url`'s host alone, and is written nowhere, whatever the server does with it."""

import logging
import os
import pickle
import traceback
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from astria_sync import api as api_module
from astria_sync import backup, config, secrets
from astria_sync.answers import read
from astria_sync.api import Api
from astria_sync.cli.common import Invocation
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.core.work import Download
from astria_sync.download import Downloader
from astria_sync.secrets import Token
from tests.security.hostile import TOKEN, Raw, Says

HALVES = (TOKEN[:18], TOKEN[-17:])


def token() -> Token:
    return Token(TOKEN, source="a test")


def shows(data: bytes | str) -> bool:
    """Whether the token can be read there, whole or half."""
    text = data if isinstance(data, bytes) else data.encode(errors="surrogateescape")
    return any(one.encode() in text for one in (TOKEN, *HALVES))


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" for one in text)


def per_cent(text: str) -> str:
    return "".join(f"%{ord(one):02X}" for one in text)


# How a server may repeat the token in JSON, as it is written there.
ECHOES = {
    "plain": TOKEN,
    "bearer": f"Authorization: Bearer {TOKEN}",
    "escaped": escaped(TOKEN),
    "half escaped": TOKEN[:9] + escaped(TOKEN[9:]),
    "escaped twice": escaped(TOKEN).replace("\\", "\\\\"),
    "per cent": per_cent(TOKEN),
    "in an address": f"https://cdn.example/a.jpg?t={TOKEN}&x=1",
    "html": "".join(f"&#{ord(one)};" for one in TOKEN),
    "html, hexadecimal": "".join(f"&#x{ord(one):x};" for one in TOKEN),
    "split": f'{HALVES[0]}", "rest": "{HALVES[1]}',
    "broken into lines": f"{TOKEN[:18]}\\n{TOKEN[18:]}",
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.parametrize("json", [True, False], ids=["json", "text"])
def test_an_answer_that_repeats_it(echo, json):
    """However a server writes the token into an answer, nothing that comes of the answer has it."""
    content = f'{{"error": "{echo}", "list": [{{"deep": "{echo}"}}]}}' if json else f"<p>{echo}</p>"
    answer = read(422, {}, content.encode(), token())
    assert (answer.body is not None) is json
    for said in (answer.text, *(answer.body or {}).values()):
        assert not shows(str(said))
        assert not any(form in str(said) for form in (per_cent(TOKEN), escaped(TOKEN), ECHOES["html"], echo))


def test_what_is_not_the_token_stays():
    """Text that only looks encoded, or has a few letters in common with the token, is kept as it is."""
    for text in ("100% &amp; \\u0041", TOKEN[:7], "%E4%BD%A0", "&#65;", ""):
        assert token().hide(text) == text
    assert Token("short", source="x").hide("a short word") == "a short word"


def descendants(pid: int) -> set[int]:
    """A process and all that it started."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(
                    Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command_lines(pid: int) -> bytes:
    lines = b""
    for one in descendants(pid):
        try:
            lines += Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            continue
    return lines


def poisoned(asked, shown):
    """Every field that is kept or shown, and some that are only kept, repeat the token."""
    said = f"{asked.token} {per_cent(asked.token)}"
    shown |= {
        "title": said,
        "url": f"https://astria.example/?token={asked.token}",
        "extra_field": {"seen": [said]},
    }
    shown |= {"email": said, "callback": said, "headers": asked.headers}
    if "broken" in shown.get("text", ""):
        shown |= {"user_error": f"Your request with {said} failed", "images": []}
    return shown


def refusing(asked):
    """The second prompt is refused, one read is answered with the request, one with a header line that is none."""
    count = len(refusing.seen)
    refusing.seen.append(asked)
    if asked.fields.get("prompt[text]") == "refused":
        return Says(status=422, body={"error": f"not with {asked.token}", "field": [asked.token]})
    if asked.method == "GET" and count == 1:
        return Says(status=500, body="\r\n".join(f"{n}: {v}" for n, v in asked.headers.items()).encode())
    if asked.method == "GET" and count == 2:
        return Says(body=[], headers={f"no name {asked.token}": "x"})
    return None


def test_a_whole_run(home, astria):
    """Log, error files, sidecars, state, its copies, `status`, `doctor` and the command lines of all processes: nowhere."""
    refusing.seen = []
    astria.poison, astria.instead = poisoned, refusing
    lines: list[bytes] = []
    for name in ("good", "refused", "broken"):
        (home.inbox / f"{name}.prompt").write_text(name)
    process = home.start(astria.url, "--verbose", "run", "--once", "--timeout", "20")
    astria.instead = lambda asked: (lines.append(command_lines(process.pid)), refusing(asked))[1]
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    assert lines
    assert b"astria_sync" in lines[0]
    backup.back_up(home.state, "2026-01-01")
    assert (home.inbox / "refused.prompt.error.txt").read_text().count("[token]") == 1
    assert "[token]" in (home.inbox / "broken.prompt.error.txt").read_text()
    assert [path.suffix for path in home.output.rglob("*.json")] == [".json"]
    shown = [
        home.call(astria.url, *words).output for words in (["status", "--all"], ["status", "--json", "--all"])
    ]
    shown += [home.call(astria.url, *words).output for words in (["doctor"], ["doctor", "--json"], ["plan"])]
    for text in (out, err, *shown, *lines):
        assert not shows(text)
    for path in home.files():
        assert not shows(path.read_bytes()), path
    assert not [asked.path for asked in astria.asked if asked.path.startswith("/pictures") and asked.token]
    open_to_all = ("/pictures", "/cli/models")
    assert not [asked for asked in astria.asked if asked.path == "/cli/models" and asked.token]
    assert all(asked.token == TOKEN for asked in astria.asked if not asked.path.startswith(open_to_all))
    assert not [asked for asked in astria.asked if "cookie" in asked.headers]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(astria, other, status):
    """To another port, host or scheme: a call ends there, and its token goes nowhere."""
    api = Api(astria.url, token, timeout=5)
    for target in (
        other.url,
        f"http://localhost:{other.port}/x",
        f"https://127.0.0.1:{other.port}/",
        "//localhost/",
    ):
        astria.instead = lambda _, to=target: Says(status=status, headers={"Location": to})
        for result in (api.get("/users"), api.send("POST", "/tunes", [("tune[title]", "x")])):
            assert isinstance(result, Answer)
            assert result.status == status
    api.close()
    assert not other.asked
    assert len(astria.asked) == 8


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_pictures_redirect_takes_nothing_along(tmp_path, astria, other, status):
    """Neither to Astria itself nor to another host goes a token or a cookie with a picture's request."""
    other.answer = lambda asked: Says(
        status=status, headers={"Location": f"{astria.url}/pictures/1.jpg", "Set-Cookie": "a=b; Path=/"}
    )
    downloader = Downloader(timeout=5, connections=2, plain_http=True)
    for n in (1, 2):
        downloader.fetch(Download(image_id=n, url=f"{other.url}/p.jpg", folder=tmp_path, stem=f"p-{n}"))
    downloader.close()
    assert len(other.asked) == len(astria.asked) == 2
    for asked in (*other.asked, *astria.asked):
        assert not {"authorization", "cookie", "referer"} & set(asked.headers)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_cookie_is_kept(astria):
    """What Astria sets is not sent back, and nothing piles up."""
    astria.instead = lambda asked: Says(body={}, headers={"Set-Cookie": f"c{len(astria.asked)}=x; Path=/"})
    api = Api(astria.url, token, timeout=5)
    for _ in range(3):
        api.get("/users")
        api.send("PATCH", "/tunes/1", [])
    assert not list(api._reads.cookies.jar)
    assert not list(api._creates.cookies.jar)
    api.close()
    assert not [asked for asked in astria.asked if "cookie" in asked.headers]


PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def test_no_proxy_reads_it(astria, other, monkeypatch, tmp_path):
    """Over http none is used; over https it is told the host's name, and sees no request."""
    for name in PROXIES:
        monkeypatch.setenv(name, other.url)
    other.answer = lambda _: Says(status=502)
    api = Api(astria.url, token, timeout=5)
    assert isinstance(api.get("/users"), Answer)
    api.close()
    downloader = Downloader(timeout=5, connections=1, plain_http=True)
    downloader.fetch(Download(image_id=1, url=f"{astria.url}/pictures/1.jpg", folder=tmp_path, stem="p"))
    downloader.close()
    assert len(astria.asked) == 2
    assert not other.asked
    api = Api("https://astria.example", token, timeout=5)
    assert isinstance(api.get("/users"), NoAnswer)
    api.close()
    assert [asked.method for asked in other.asked] == ["CONNECT"]
    assert not shows(repr(other.asked))


@pytest.mark.parametrize("url", ["http://api.astria.ai", "http://192.168.1.5:8080", "http://[2606:4700::1]"])
def test_a_base_url_that_anybody_can_read_along(tmp_path, url):
    """Over plain http the token goes to this machine alone; anything else is no configuration."""
    with pytest.raises(config.ConfigError, match="https"):
        config.load(None, profile=None, environ={"ASTRIA_BASE_URL": url}, home=tmp_path)
    for own in ("http://localhost:80", "http://127.0.0.2:1", "http://[::1]:8080"):
        config.load(None, profile=None, environ={"ASTRIA_BASE_URL": own}, home=tmp_path)


def everything(error: BaseException) -> str:
    """A traceback as the most talkative of tools would write it, with every local variable of every frame."""
    text = "".join(traceback.format_exception(error))
    chain: BaseException | None = error
    while chain is not None:
        at = chain.__traceback__
        while at is not None:
            if "/tests/" not in at.tb_frame.f_code.co_filename:
                text += "".join(f"{name} = {value!r}\n" for name, value in at.tb_frame.f_locals.items())
            at = at.tb_next
        chain = chain.__cause__ or chain.__context__
    return text


@pytest.mark.parametrize("where", ["answers.read", "answers.unpacked", "httpx.Client.send"])
def test_a_traceback_with_its_variables(monkeypatch, astria, where):
    """Should a call ever end in a defect, no frame has the token in a variable that can be printed."""
    caught: list[BaseException] = []

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a defect")

    def why(error: BaseException) -> str:
        caught.append(error)
        return "x"

    owner: object = api_module
    *path, name = where.split(".")
    for part in path:
        owner = getattr(owner, part)
    monkeypatch.setattr(owner, name, broken)
    monkeypatch.setattr(api_module, "_why", why)
    api = Api(astria.url, token, timeout=5)
    api.get("/users", workspace="1")
    api.send("POST", "/tunes", [("tune[title]", "x")], workspace="1")
    assert len(caught) == 2
    for error in caught:
        assert "a defect" in everything(error)
        assert not shows(everything(error))
    assert not shows(
        repr([vars(api), api, httpx.Request("GET", "https://x", headers={"Authorization": TOKEN})])
    )
    api.close()


def test_nothing_that_holds_it_prints_it(tmp_path):
    """Neither the configuration, nor what a command was called with, nor the token itself; and it is not pickled."""
    environ = {"ASTRIA_AUTH_TOKEN": TOKEN, "ASTRIA_API_KEY": TOKEN}
    settings = config.load(None, profile=None, environ=environ, home=tmp_path)
    invocation = Invocation(environ=environ, home=tmp_path)
    found = secrets.find_token(settings.astria, environ=environ, home=tmp_path)
    assert found.reveal() == TOKEN
    for one in (settings, invocation, found, [found], {found: found}):
        assert not shows(f"{one} {one!r}")
    with pytest.raises(TypeError):
        pickle.dumps(found)


@pytest.mark.parametrize(
    "form", [TOKEN, per_cent(TOKEN), escaped(TOKEN)], ids=["plain", "per cent", "escaped"]
)
def test_the_log_masks_what_it_is_given(capsys, form):
    """Also a token that was read anew since the start, and in a traceback."""
    from astria_sync.cli import logs

    token()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.set_up(verbose=True)
        error = ValueError(f"with {form}")
        logging.getLogger("astria_sync").warning("it says %s", form, exc_info=error)
        logs.flush()
        told = capsys.readouterr().err
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        logging.captureWarnings(capture=False)
    assert told.count("[token]") >= 2
    assert not shows(told)
    assert form not in told


def test_a_libraries_debug_log(caplog, astria):
    """httpx and its parts, told to say everything, say nothing of it."""
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)
    api = Api(astria.url, token, timeout=5)
    api.get("/users")
    api.send("POST", "/tunes", [("tune[title]", "x")])
    api.close()
    assert not shows(caplog.text)


def test_why_there_was_no_answer():
    """A header line that is none comes into the error's own text; the token in it does not."""

    def say(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nno header with " + TOKEN.encode() + b"\r\n\r\n")

    with Raw(say) as server:
        api = Api(server.url, token, timeout=5)
        result = api.get("/users")
        api.close()
    assert isinstance(result, NoAnswer)
    assert "[token]" in result.why
    assert not shows(result.why)


def test_pictures_addresses_that_carry_it(astria, tmp_path):
    """An address that Astria sends with our token in it is not what is asked for elsewhere."""
    astria.poison = lambda asked, shown: shown | {"images": [f"https://cdn.example/{asked.token}.jpg"]}
    api = Api(astria.url, token, timeout=5)
    fields = [("prompt[text]", "x"), ("prompt[seed]", "1")]
    (url,) = api.send("POST", "/tunes/1/prompts", fields).body["images"]
    api.close()
    assert urlsplit(url).hostname == "cdn.example"
    assert not shows(url)


def test_the_token_file(tmp_path):
    """Refused if others can read or change it, or if it is another user's; taken from a folder of any kind."""
    settings = config.load(None, profile=None, environ={}, home=tmp_path).astria
    settings.token_file.parent.mkdir(parents=True)
    settings.token_file.write_text(TOKEN)
    for mode in (0o604, 0o640, 0o620, 0o602, 0o666):
        settings.token_file.chmod(mode)
        with pytest.raises(config.ConfigError, match="chmod 600"):
            secrets.find_token(settings, environ={}, home=tmp_path)
    for mode in (0o600, 0o400):
        settings.token_file.chmod(mode)
        assert secrets.find_token(settings, environ={}, home=tmp_path).reveal() == TOKEN


@pytest.mark.parametrize(("owner", "me", "taken"), [(7, 7, True), (0, 7, True), (8, 7, False), (8, 0, True)])
def test_the_token_files_owner(tmp_path, monkeypatch, owner, me, taken):
    """Another user's file could put another's account there; root's own business is its own."""
    settings = config.load(None, profile=None, environ={}, home=tmp_path).astria
    settings.token_file.parent.mkdir(parents=True)
    settings.token_file.write_text(TOKEN)
    settings.token_file.chmod(0o600)
    right = os.fstat

    def owned(descriptor: int) -> os.stat_result:
        info = list(right(descriptor))
        info[4] = owner
        return os.stat_result(info)

    monkeypatch.setattr(secrets.os, "fstat", owned)
    monkeypatch.setattr(secrets.os, "geteuid", lambda: me)
    if taken:
        assert secrets.find_token(settings, environ={}, home=tmp_path) is not None
    else:
        with pytest.raises(config.ConfigError, match="another user"):
            secrets.find_token(settings, environ={}, home=tmp_path)
