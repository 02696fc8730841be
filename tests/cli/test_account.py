"""The account from the command line, against the stand-in over HTTP."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from PIL import Image

from astria_sync import modelnames
from astria_sync.cli import remote
from astria_sync.journal import open_journal
from astria_sync.simulator import Request, Simulator
from astria_sync.simulator.faults import Fault
from astria_sync.simulator.forms import Upload
from tests.cli.conftest import OPTIONS

GEMINI = 3618064
NASTY = "\x1b[31mred\x1b]0;t\x07 \u202eback\u202c \x9b2J [red]x[/red]\r\n2nd line\x00"
AT_ONCE = (("retry-after", "0"),)


@pytest.fixture
def stand_in():
    """In it no time goes by: whatever is looked at twice is the same."""
    with Simulator(replace(OPTIONS, speed=0.0)) as simulator:
        yield simulator


@pytest.fixture
def there(stand_in, tmp_path):
    """Make things in the account, as another client does."""
    photo = tmp_path / "p.jpg"
    Image.new("RGB", (64, 64)).save(photo)

    def make(path, workspace=None, **fields):
        kind = "tune" if path == "/tunes" else "prompt"
        files = (
            (("tune[images][]", Upload("p.jpg", "image/jpeg", photo.read_bytes())),) if kind == "tune" else ()
        )
        request = Request(
            method="POST",
            path=path,
            headers={"authorization": f"Bearer {stand_in.token}"}
            | ({"x-workspace-id": workspace} if workspace else {}),
            fields=tuple((f"{kind}[{key}]", value) for key, value in fields.items()),
            files=files,
        )
        answer = stand_in.astria.handle(request)
        assert answer.status < 300, answer
        return answer.json()

    return make


@pytest.fixture
def call(desk, account):
    """Call a command with nothing but the environment: no configuration, no folders."""

    def do(*args, typed=None, **environ):
        return desk(*args, typed=typed, config=False, **account | environ)

    return do


def tune(there, title="jane", **more):
    return there("/tunes", title=title, name="woman", model_type="faceid", **more)


def prompt(there, text="words", **more):
    return there(f"/tunes/{GEMINI}/prompts", text=text, **more)


def requests(stand_in, method="GET", path=None):
    return stand_in.ledger.requests(method, path, host="api")


def sentence(result, code=1):
    """The one line on stderr."""
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    return line


# Lists


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("tunes list", "/tunes"),
        ("prompts list", "/prompts"),
        ("packs list", "/packs"),
        ("packs list --gallery", "/gallery/packs"),
        ("tunes list --gallery", "/gallery/tunes"),
        ("workspaces list", "/workspaces.json"),
        ("whoami", "/users"),
        ("models", "/cli/models"),
        ("packs get 260", "/p/260"),
    ],
)
def test_json_is_what_astria_gave(call, stand_in, there, command, path):
    """Value for value and in the same order, with nothing added or left out."""
    tune(there), prompt(there, "ä „quoted“ \u202e")
    result = call(*command.split(), "--json")
    assert result.exit_code == 0, result.output
    headers = {"authorization": f"Bearer {stand_in.token}"}
    told = stand_in.astria.handle(Request(method="GET", path=path, headers=headers)).json()
    assert json.dumps(json.loads(result.stdout)) == json.dumps(told)
    assert result.stderr == ""
    assert "\u202e" not in result.stdout


def test_a_list_for_programs_is_one_object_on_a_line(call, there):
    """It can be read as it comes; an empty one is a list too."""
    assert call("prompts", "list", "--json").stdout == "[]\n"
    for _ in range(3):
        prompt(there)
    lines = call("prompts", "list", "--json").stdout.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("[", "]", 5)
    assert json.loads(lines[1].rstrip(","))["text"] == "words"


def test_a_list_for_people(call, there):
    """The newest first, under one heading, in lines of a terminal, without colour."""
    tune(there), tune(there, "日本語" * 20), tune(there, "x" * 200, auto_extend="true")
    lines = call("tunes", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "TYPE", "CLASS", "MADE", "EXPIRES", "TITLE"]
    assert [line.split()[-1][:2] for line in lines[1:]] == ["xx", "日本", "ja"]
    assert "never" in lines[1]
    assert all(len(line) <= 80 for line in lines)
    prompt(there, "a\nb " + "word " * 50, num_images="2")
    prompt(there, "FAIL_USER_ERROR")
    shown = call("prompts", "list").stdout
    assert "a b word word" in shown
    assert "0 of 2" in shown
    assert "$0.28" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "\x1b" not in shown


def test_how_far_a_list_goes(call, stand_in, there):
    """Twenty unless more are asked for; what is cut off is told; with --all every one, in large pages, none twice."""
    made = [prompt(there)["id"] for _ in range(130)]
    short = call("prompts", "list")
    assert len(short.stdout.splitlines()) == 21
    assert "--all" in short.stderr
    assert "--all" in call("prompts", "list", "--json").stderr
    assert call("prompts", "list", "--limit", "20").stderr == ""
    everything = json.loads(call("prompts", "list", "--all", "--json").stdout)
    assert [one["id"] for one in everything] == made[::-1]
    queries = [dict(parse_qsl(request.query)) for request in requests(stand_in)]
    assert queries[0] == {"limit": "20"}
    assert queries[3] == {"limit": "120"}
    assert queries[4] == {"limit": "120", "before_id": str(made[10])}
    some = json.loads(call("prompts", "list", "--limit", "125", "--offset", "3", "--json").stdout)
    assert [one["id"] for one in some] == made[::-1][3:128]
    below = json.loads(call("prompts", "list", "--before-id", str(made[2]), "--json").stdout)
    assert [one["id"] for one in below] == [made[1], made[0]]


def test_packs_are_counted_through(call, stand_in):
    """Their list has no ids to go on by."""
    result = call("packs", "list", "--gallery", "--all", "--json")
    assert [one["id"] for one in json.loads(result.stdout)] == [261, 260]
    assert [request.query for request in requests(stand_in)] == ["limit=120", "limit=120&offset=2"]


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ("tunes list --title jane", {"title": "jane"}),
        ("tunes list --name man --name dress", {"name[]": ["man", "dress"]}),
        ("tunes list --model-type lora --branch fast", {"model_type": "lora", "branch": "fast"}),
        ("tunes list --offset 5 --before-id 9", {"offset": "5", "before_id": "9"}),
        ("prompts list --text hiking", {"text": "hiking"}),
        ("prompts list --pack-id 1 --base-pack-id 2", {"pack_id": "1", "base_pack_id": "2"}),
        ("prompts list --user-id 1 --tune-id 2", {"user_id": "1", "tune_id": "2"}),
        ("prompts list --order-id 1 --orig-prompt-id 2", {"order_id": "1", "orig_prompt_id": "2"}),
        ("prompts list --liked --today", {"liked": "true", "today": "true"}),
        ("prompts list --no-is-video --is-api", {"is_video": "false", "is_api": "true"}),
        ("packs list --public --no-listed --offset 1", {"public": "true", "listed": "false", "offset": "1"}),
    ],
)
def test_every_filter_reaches_astria(call, stand_in, arguments, query):
    """Each filter of the documentation, under its name there."""
    assert call(*arguments.split(), "--limit", "7").exit_code == 0
    pairs = parse_qsl(requests(stand_in)[0].query)
    found = {key: [v for k, v in pairs if k == key] for key, _ in pairs}
    assert found == {key: value if isinstance(value, list) else [value] for key, value in query.items()} | {
        "limit": ["7"]
    }


def test_filters_leave_what_fits(call, there):
    """One of each: what is asked for is what is shown."""
    tune(there), tune(there, "red")
    liked = prompt(there, "a red cat")
    prompt(there, "a dog")
    assert [one["title"] for one in json.loads(call("tunes", "list", "--title", "red", "--json").stdout)] == [
        "red"
    ]
    found = json.loads(call("prompts", "list", "--text", "cat", "--json").stdout)
    assert [one["id"] for one in found] == [liked["id"]]
    assert "Astria shows none; --workspace all looks everywhere." in call("prompts", "list", "--liked").stderr


def test_the_workspace(desk, account, there):
    """The configuration's unless another is named; all; or one's own."""
    ours = tune(there)
    theirs = tune(there, "red", workspace="679")
    desk.configure('[astria]\nworkspace_id = "679"')

    def ids(*more):
        return [one["id"] for one in json.loads(desk("tunes", "list", "--json", *more, **account).stdout)]

    assert ids() == [theirs["id"]]
    assert ids("--workspace", "680") == []
    assert ids("--workspace", "all") == [theirs["id"], ours["id"]]
    assert ids("--workspace", "personal") == [ours["id"]]
    refused = desk("tunes", "list", "--workspace", "1", **account)
    assert "no access to this workspace" in sentence(refused, 4)
    assert desk("workspaces", "list", **account).stdout.count("\n") == 3
    assert "--workspace all" in sentence(desk("tunes", "get", str(ours["id"]), **account))


def test_who_has_named_a_wrong_workspace_can_look_for_the_right_one(desk, account):
    """`whoami` and `workspaces list` work in none."""
    desk.configure('[astria]\nworkspace_id = "1"')
    assert "studio" in desk("workspaces", "list", **account).stdout
    assert "$100.00" in desk("whoami", **account).stdout


# One thing


def test_every_picture_has_its_address_on_a_line(call, stand_in, there):
    """Whole, as it can be given to another program; and all that Astria tells besides."""
    made = prompt(there, "long " * 60, num_images="3")
    stand_in.advance(60)
    shown = call("prompts", "get", str(made["id"])).stdout
    told = json.loads(call("prompts", "get", str(made["id"]), "--json").stdout)
    assert [line for line in shown.splitlines() if line.startswith("http")] == told["images"]
    assert len(told["images"]) == 3
    assert "cost_mc" in shown
    assert "($0.42)" in shown
    face = tune(there)
    shown = call("tunes", "get", str(face["id"])).stdout
    assert shown.splitlines()[-1] == face["orig_images"][0]


def test_a_pack_with_its_prompts_and_prices(call):
    """By slug and by id."""
    shown = call("packs", "get", "corporate-headshots").stdout
    assert "costs for woman: $1.12, 8 pictures" in shown
    assert "<1> in a navy suit" in shown
    assert shown == call("packs", "get", "260").stdout
    assert "does not know pack none" in sentence(call("packs", "get", "none"))


def test_who_am_i(call, account):
    """Name, balance, where the token was found; not the token."""
    result = call("whoami")
    assert "sim@example.com" in result.stdout
    assert "$100.00" in result.stdout
    assert "from $ASTRIA_AUTH_TOKEN" in result.stdout
    assert account["ASTRIA_AUTH_TOKEN"] not in result.output


# Changes


def test_a_tune_is_changed(call, stand_in, there):
    """What was said and nothing else; `--json` is Astria's answer."""
    face = str(tune(there, auto_extend="true")["id"])
    result = call(
        "tunes", "update", face, "--title", "new", "--no-auto-extend", "--characteristics", '{"a": {"b": 1}}'
    )
    assert result.exit_code == 0
    (request,) = requests(stand_in, "PATCH")
    assert dict(request.fields) == {
        "tune[title]": "new", "tune[auto_extend]": "false", "tune[characteristics]": '{"a": {"b": 1}}'
    }  # fmt: skip
    told = json.loads(call("tunes", "update", face, "--name", "man", "--json").stdout)
    assert (told["title"], told["name"], told["characteristics"]) == ("new", "man", {"a": {"b": 1}})


@pytest.mark.parametrize(
    "arguments",
    [
        ("tunes", "update", "5"),
        ("tunes", "update", "5", "--title", " "),
        ("tunes", "update", "5", "--name", "a\nb"),
        ("tunes", "update", "5", "--characteristics", "{"),
        ("tunes", "update", "5", "--characteristics", "[1]"),
        ("tunes", "get", "jane"),
        ("tunes", "get", "0"),
        ("prompts", "get", "9" * 5000),
        ("prompts", "list", "--limit", "0"),
        ("prompts", "list", "--limit", "5", "--all"),
        ("prompts", "list", "--tune-id", "x"),
        ("prompts", "list", "--workspace", "studio"),
        ("packs", "get", ".."),
        ("packs", "get", "a/b"),
        ("tunes", "lsit"),
        ("tunes",),
        ("packs", "delete", "5"),
    ],
)
def test_wrong_usage_sends_nothing(call, stand_in, arguments):
    """One sentence, 2, and Astria hears nothing of it."""
    result = call(*arguments)
    assert sentence(result, 2).startswith("astria-sync: ")
    assert result.stdout == ""
    assert stand_in.ledger.requests() == []


@pytest.mark.parametrize(("kind", "path"), [("tunes", "/tunes"), ("prompts", f"/tunes/{GEMINI}/prompts")])
def test_nothing_is_deleted_unasked(call, stand_in, there, kind, path):
    """Without a terminal it says which flag is missing, and asks Astria nothing; with the flag it is done."""
    made = (tune if kind == "tunes" else prompt)(there)["id"]
    result = call(kind, "delete", str(made))
    assert "--yes" in sentence(result, 2)
    assert requests(stand_in) == []
    assert call(kind, "delete", str(made), "--yes").exit_code == 0
    (request,) = requests(stand_in, "DELETE")
    assert request.path == f"{path}/{made}"
    assert "does not know" in sentence(call(kind, "get", str(made)))
    assert "does not know" in sentence(call(kind, "delete", str(made), "--yes"))


def test_in_a_terminal_it_asks(call, stand_in, there, monkeypatch):
    """What it is, and what goes with it; anything but yes deletes nothing."""
    monkeypatch.setattr(remote, "is_terminal", lambda: True)
    face = tune(there, "my\x1b[2Jtitle")["id"]
    model = there("/tunes", title="red", name="dress")["id"]
    refused = call("tunes", "delete", str(face), typed="\n")
    assert (refused.exit_code, requests(stand_in, "DELETE")) == (1, [])
    assert f"Delete tune {face}, my\\x1b[2Jtitle (faceid woman)" in refused.stderr
    assert "Nothing was deleted" in refused.stderr
    assert call("tunes", "delete", str(face), typed="").exit_code == 130
    result = call("tunes", "delete", str(model), typed="y\n")
    assert result.exit_code == 0
    assert "Its prompts and their pictures go with it" in result.stderr
    assert [request.path for request in requests(stand_in, "DELETE")] == [f"/tunes/{model}"]


def test_it_says_whose_it_is(desk, account, stand_in, there, monkeypatch):
    """A tune or prompt of a folder or file here is told as such, with how many of its pictures are here."""
    monkeypatch.setattr(remote, "is_terminal", lambda: True)
    desk.configure()
    face, words = tune(there)["id"], prompt(there, num_images="2")["id"]
    journal = open_journal(desk.state, now=1.0)
    base = {"root": str(desk.inbox), "created_at": 1.0, "updated_at": 1.0}
    folder = journal.add("sources", kind="folder", path="jane", **base)
    file = journal.add("sources", kind="prompt", path="jane/a.prompt", **base)
    times = {"created_at": 1.0, "updated_at": 1.0}
    journal.add("tunes", source_id=folder, state="ready", remote_id=face, **times)
    row = journal.add("prompts", source_id=file, state="downloading", remote_id=words, num_images=2, **times)
    journal.add("images", prompt_id=row, n=1, identity="x", url="x", state="saved")
    journal.close()
    asked = desk("tunes", "delete", str(face), typed="n\n", **account).stderr
    assert f"It is the tune of the folder {desk.inbox}/jane" in asked
    asked = desk("prompts", "delete", str(words), typed="n\n", **account).stderr
    assert f"It was ordered by {desk.inbox}/jane/a.prompt; 1 of its 2 pictures are here." in asked
    gone = desk("prompts", "delete", str(words), "--yes", **account).stderr
    assert f"It was ordered by {desk.inbox}/jane/a.prompt; to make it once more: astria-sync" in gone
    spare = tune(there, title="spare")["id"]
    assert "It was" not in desk("tunes", "delete", str(spare), "--yes", **account).stderr
    gone = desk("tunes", "delete", str(face), "--yes", **account).stderr
    assert f"It was the tune of {desk.inbox}/jane; for a new one: astria-sync" in gone
    assert f"retrain {desk.inbox}/jane" in gone
    face, other = tune(there)["id"], prompt(there)["id"]
    assert "ordered by" not in desk("prompts", "delete", str(other), typed="n\n", **account).stderr
    desk.state.write_bytes(b"x" * 5000)
    assert "is not known" in desk("tunes", "delete", str(face), typed="n\n", **account).stderr


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_told_as_that(call, stand_in, there, when):
    """Whether it was deleted or changed is not known, and it is said how to look; nothing is sent twice."""
    face = str(tune(there)["id"])
    for method, arguments in (
        ("PATCH", ("update", face, "--title", "x")),
        ("DELETE", ("delete", face, "--yes")),
    ):
        stand_in.faults.add(Fault(kind="status", status=504, method=method, when=when))
        said = sentence(call("tunes", *arguments, "--workspace", "personal"))
        assert "It is not known whether" in said
        assert f"astria-sync tunes get {face} --workspace personal" in said
        assert len(requests(stand_in, method)) == 1
    found = call("tunes", "get", face)
    assert found.exit_code == (when == "after")


# What can go wrong


@pytest.mark.parametrize(
    "command",
    ["tunes list", "prompts get 5", "packs list", "whoami", "workspaces list", "tunes delete 5 --yes"],
)
def test_a_token_that_is_refused_or_missing_ends_with_4(call, stand_in, command):
    """Whose it was is told, and what to do."""
    said = sentence(call(*command.split(), ASTRIA_AUTH_TOKEN="another-key"), 4)
    assert "from $ASTRIA_AUTH_TOKEN" in said
    said = sentence(call(*command.split(), ASTRIA_AUTH_TOKEN=""), 4)
    assert "There is no token" in said
    assert all(request.status == 401 for request in stand_in.ledger.requests())


def test_trouble_that_passes(call, stand_in, there):
    """Too many requests and an error of the server: asked again, and told that it takes a while."""
    prompt(there)
    for status in (429, 500):
        stand_in.faults.add(Fault(kind="status", status=status, headers=AT_ONCE))
    result = call("prompts", "list")
    assert result.exit_code == 0
    assert result.stderr.count("asked again") == 2
    assert "words" in result.stdout


def test_trouble_that_stays(call, stand_in):
    """It is not asked for ever."""
    stand_in.faults.add(Fault(kind="status", status=500, headers=AT_ONCE, times=None))
    result = call("prompts", "list")
    assert result.exit_code == 1
    assert "Astria is in trouble" in result.stderr.splitlines()[-1]
    assert len(requests(stand_in)) == 4


def test_no_network(call):
    """A sentence with the address."""
    assert "cannot be reached" in sentence(call("tunes", "list", ASTRIA_BASE_URL="http://127.0.0.1:9"))


def test_a_refusal_is_in_astrias_words(call):
    """422, and 400 for an offset that is too deep."""
    assert "offset is limited to 200" in sentence(call("tunes", "list", "--offset", "201"))


def test_a_list_that_breaks_off_does_not_pass_for_whole(call, stand_in, there):
    """What came is shown; its end is missing, and the exit code says so."""
    for _ in range(125):
        prompt(there)
    stand_in.faults.add(Fault(kind="status", status=422, body='{"error": "enough"}', skip=1))
    result = call("prompts", "list", "--all", "--json")
    assert "enough" in sentence(result)
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(result.stdout)
    assert len(result.stdout.splitlines()) == 121


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("prompts list", [dict.fromkeys(("id", "text", "created_at", "num_images", "images", "user_error", NASTY), NASTY), NASTY, 5, None, [[]]]),
        ("tunes list", [dict.fromkeys(("id", "title", "name", "model_type", "trained_at", "expires_at"), NASTY)]),
        ("packs list", [{"id": {"x": NASTY}, "slug": [NASTY], "title": NASTY}]),
        ("workspaces list", [{"id": NASTY, "title": NASTY, "slug": NASTY}, NASTY]),
        ("prompts get 5", {"id": NASTY, NASTY: {NASTY: NASTY}, "images": [NASTY, {"x": NASTY}, 5], "cost_mc": NASTY}),
        ("tunes get 5", {"orig_images": NASTY, "x": [NASTY], "usd_mc": 10**400, "cost_mc": 1e308}),
        ("packs get x", {"costs": {NASTY: NASTY, "b": {"cost_mc": NASTY}}, "template_prompts": [NASTY, {"text": NASTY}]}),
        ("packs get x", {"costs": [NASTY], "template_prompts": NASTY}),
        ("whoami", {"name": NASTY, "usd_balance_mc": [NASTY]}),
        ("prompts list", {"error": NASTY}),
        ("whoami", [NASTY]),
        ("tunes delete 5 --yes", {"title": NASTY, "message": NASTY}),
        ("prompts delete 5 --yes", {"tune_id": NASTY}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_nothing_from_the_server_steers_the_terminal(call, stand_in, command, body, more):
    """Whatever it says, wherever: shown as the text that it is, and never a crash."""
    stand_in.faults.add(Fault(kind="status", status=200, body=json.dumps(body), times=None))
    result = call(*command.split(), *more)
    assert result.exit_code in {0, 1}
    assert all(one.isprintable() or one == "\n" for one in result.output), result.output


# Models


def test_the_models_by_name(call, stand_in, desk):
    """Astria's, asked for without the token and remembered, with what they can do."""
    result = call("models", ASTRIA_AUTH_TOKEN="")
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[1:5]}
    assert rows["gemini"] == ["3618064", "Astria", "1K", "2K", "4K"]
    assert rows["flux"] == ["1504944", "built", "in", "-"]
    assert "Prompts that name none go to: gemini" in result.stdout
    assert "seedance2_fast_720p" in result.stdout
    (request,) = requests(stand_in)
    assert not request.carried_token
    assert modelnames.place(desk.home / ".local/state/astria-sync/state.db").exists()


def test_the_models_without_a_network(call, stand_in):
    """What was known last, with its age; before that, what is built in."""
    stand_in.faults.add(Fault(kind="refuse", times=None))
    first = call("models")
    assert "names that are built in" in first.stderr
    assert "gpt-image-2" in first.stdout
    assert json.loads(call("models", "--json").stdout)["models"]["gemini"] == {"tune_id": GEMINI}
    stand_in.faults.clear()
    told = json.loads(call("models", "--json").stdout)
    stand_in.faults.add(Fault(kind="refuse", times=None))
    second = call("models", "--json")
    assert json.loads(second.stdout) == told
    assert "this is what it said on" in second.stderr


def test_names_of_ones_own_come_first(desk, account):
    """From `[models]` and from the environment, told as such."""
    desk.configure("[models]\nmine = 5\nseedream = 6")
    shown = desk("models", GEMINI_TUNE_ID="7", **account).stdout
    rows = {line.split()[0]: line.split()[1:3] for line in shown.splitlines() if line}
    assert rows["mine"] == ["5", "configuration"]
    assert rows["seedream"] == ["6", "configuration"]
    assert rows["gemini"] == ["7", "configuration"]


def test_a_default_that_nobody_knows_yet(desk, account, stand_in):
    """`models` works all the same; once Astria has told the name, so does everything else."""
    desk.configure('[models]\ndefault = "nano"')
    assert f"{desk.itself} models" in sentence(desk("status", **account), 2)
    assert "is none of these" in desk("models", **account).stderr
    body = json.dumps({"models": {"nano": {"tune_id": 5}}})
    stand_in.faults.add(Fault(kind="status", status=200, body=body, times=None))
    assert desk("models", **account).exit_code == 0
    assert desk("status", **account).exit_code == 0


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        '{"models": 5}',
        '{"models": {"\\u001b[2J": {"tune_id": 5}}}',
        '{"models": {"7": {"tune_id": 5}}}',
    ],
)
def test_models_that_make_no_sense(call, stand_in, body):
    """They are told as such, and what is built in counts."""
    stand_in.faults.add(Fault(kind="status", status=200, body=body, times=None))
    result = call("models")
    assert "no list of models" in sentence(result, 0)
    assert "\x1b" not in result.output
    assert "gemini" in result.stdout
