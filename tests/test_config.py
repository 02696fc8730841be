import json
import subprocess
import sys
import tomllib
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astria_sync import config
from astria_sync.config import check_roots, find, load, require_watches
from astria_sync.errors import ConfigError, UsageError
from astria_sync.settings import BUILTIN_MODELS, TABLES, TOP, WATCH, Settings
from astria_sync.tunefile import INHERITED

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def read(text, home, environ=None):
    file = home / "c.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, profile=None, environ=environ or {}, home=home)


def problems(text, home, environ=None):
    with pytest.raises(ConfigError) as error:
        read(text, home, environ)
    return error.value.problems


def test_without_a_file_the_defaults_hold(home):
    """A first look needs no configuration."""
    found = load(None, profile=None, environ={}, home=home)
    assert (found.file, found.watch) == (None, ())
    assert found.state == home / ".local/state/astria-sync/state.db"
    assert found.astria.base_url == "https://api.astria.ai"
    assert found.astria.token_file == home / ".config/astria-sync/token"
    assert found.astria.workspace_id is None
    assert found.models.ids == BUILTIN_MODELS
    assert found.tune_defaults == {"model_type": "faceid", "prompt": {"num_images": 1}}


def test_the_example_says_the_defaults(home):
    """Every value in the example is the one that holds without it."""
    example = load(EXAMPLE, profile=None, environ={}, home=home)
    plain = load(None, profile=None, environ={}, home=home)
    for part in fields(Settings):
        if part.name not in {"file", "watch"}:
            assert getattr(example, part.name) == getattr(plain, part.name), part.name
    (watch,) = example.watch
    assert watch == config.Watch(path=home / "Astria/inbox", output=home / "Astria/generated")


def test_the_example_has_every_key():
    """What can be configured is in the example, commented out where there is no default."""
    text = EXAMPLE.read_text(encoding="utf-8")
    table = tomllib.loads(text.replace("# workspace_id", "workspace_id"))
    assert set(table) == set(TOP)
    for name, keys in TABLES.items():
        assert set(table[name]) == set(keys), name
    assert set(table["watch"][0]) == set(WATCH)
    # Written out, ids would come before what Astria says of its models by then.
    assert set(table["models"]) == {"default"}
    assert all(f"\n# {name} = {tune_id}" in text for name, tune_id in BUILTIN_MODELS.items())


@pytest.mark.parametrize(
    ("path", "profile", "environ", "expected"),
    [
        (None, None, {}, "{home}/.config/astria-sync/config.toml"),
        (None, None, {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/astria-sync/config.toml"),
        (None, None, {"XDG_CONFIG_HOME": "relative"}, "{home}/.config/astria-sync/config.toml"),
        (None, "work", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/astria-sync/work.toml"),
        (None, "work", {"ASTRIA_SYNC_CONFIG": "/a.toml"}, "{home}/.config/astria-sync/work.toml"),
        (None, None, {"ASTRIA_SYNC_CONFIG": "/a.toml"}, "/a.toml"),
        (None, None, {"ASTRIA_SYNC_CONFIG": "~/a.toml"}, "{home}/a.toml"),
        ("/b.toml", None, {"ASTRIA_SYNC_CONFIG": "/a.toml"}, "/b.toml"),
    ],
)
def test_where_the_file_is_looked_for(home, path, profile, environ, expected):
    """The command line comes before the environment, which comes before the usual place."""
    found = find(path and Path(path), profile=profile, environ=environ, home=home)
    assert str(found) == expected.format(home=home)


@pytest.mark.parametrize(
    ("path", "profile"), [("/a.toml", "work"), (None, "../x"), (None, ""), (None, ".x"), (None, "a/b")]
)
def test_a_profile_is_a_plain_name_and_stands_alone(home, path, profile):
    """A profile never leads out of its folder, and is not mixed with --config."""
    with pytest.raises(UsageError):
        find(path and Path(path), profile=profile, environ={}, home=home)


def test_a_profile_has_a_state_of_its_own(home):
    """Two accounts never share a state."""
    folder = home / ".config/astria-sync"
    folder.mkdir(parents=True)
    (folder / "work.toml").write_text("")
    assert (
        load(None, profile="work", environ={}, home=home).state == home / ".local/state/astria-sync/work.db"
    )
    (folder / "work.toml").write_text('state = "here.db"')
    assert load(None, profile="work", environ={}, home=home).state == folder / "here.db"


@pytest.mark.parametrize("named", ["path", "profile", "environment"])
def test_a_file_that_was_named_must_be_there(home, named):
    """A slip in a name does not quietly mean the defaults, and another account."""
    with pytest.raises(ConfigError, match="There is no configuration at"):
        load(
            home / "none.toml" if named == "path" else None,
            profile="none" if named == "profile" else None,
            environ={"ASTRIA_SYNC_CONFIG": str(home / "none.toml")} if named == "environment" else {},
            home=home,
        )


def test_a_file_that_cannot_be_read_is_told(home):
    """A folder under the file's name is an error with its name."""
    with pytest.raises(ConfigError, match=f"{home} cannot be read"):
        load(home, profile=None, environ={}, home=home)


def test_paths_are_relative_to_the_file(home):
    """A configuration can be moved together with its folders."""
    found = read(
        'state = "s.db"\n[astria]\ntoken_file = "~/t"\n[[watch]]\npath = "in"\n[[watch]]\npath = "/x"\noutput = "~/o"',
        home,
    )
    assert (found.state, found.astria.token_file) == (home / "s.db", home / "t")
    assert [(watch.path, watch.output) for watch in found.watch] == [
        (home / "in", home / "in-output"),
        (Path("/x"), home / "o"),
    ]


def test_the_environment_comes_first_and_the_official_client_last(home):
    """Of three places, the documented one wins."""
    (home / ".astria").mkdir()
    client = {"base_url": "https://client.example", "workspace_id": 3, "api_key": "t" * 8}
    (home / ".astria/config.json").write_text(json.dumps(client))
    text = '[astria]\nbase_url = "https://file.example/"\nworkspace_id = 2'
    environ = {"ASTRIA_BASE_URL": "https://env.example/", "WORKSPACE_ID": "1"}
    found = [read("", home), read(text, home), read(text, home, environ)]
    assert [(one.astria.base_url, one.astria.workspace_id) for one in found] == [
        ("https://client.example", "3"),
        ("https://file.example", "2"),
        ("https://env.example", "1"),
    ]


def test_models_are_named_in_the_file_and_in_the_environment(home):
    """Names of one's own are welcome, numbers may be written as text."""
    environ = {"GEMINI_TUNE_ID": "12", "SEEDREAM_TUNE_ID": ""}
    models = read('[models]\ngemini = 1\nseedream = "7"\nmine = 5\ndefault = "mine"', home, environ).models
    assert (models.ids["gemini"], models.ids["seedream"], models.ids["mine"]) == (12, 7, 5)
    assert models.default == "mine"
    assert [models.id_of(model) for model in ("mine", "99", 98, "other", "0", "01")] == [
        5,
        99,
        98,
        None,
        None,
        None,
    ]
    assert (models.name_of(7), models.name_of(1)) == ("seedream", None)
    assert read("[models]\ndefault = 4321", home).models.default == "4321"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stat = 1", '{file}: there is no key "stat"; did you mean "state"?'),
        ("[timings]\na = 1", 'did you mean "timing"?'),
        (
            "[timing]\nsettle = 1",
            '{file}, [timing]: there is no key "settle"; did you mean "settle_seconds"?',
        ),
        (
            "[timing]\npoll_seconds = 0",
            "{file}, [timing]: poll_seconds must be a number greater than 0, not 0.",
        ),
        ("[timing]\nsettle_seconds = -1", "settle_seconds"),
        ("[timing]\nrescan_seconds = inf", "rescan_seconds"),
        ("[timing]\nrescan_seconds = true", "rescan_seconds"),
        ("[timing]\nretry_max_seconds = 5", "retry_max_seconds must not be less than retry_base_seconds"),
        ("[limits]\nuploads = 0", "uploads"),
        ("[limits]\nrequests = 1.5", "requests"),
        (
            "[limits]\nspend_per_day_usd = -0.01",
            "spend_per_day_usd must be a number from 0 to",
        ),
        ("[limits]\nspend_per_day_usd = inf", "spend_per_day_usd"),
        ("[limits]\nspend_per_day_usd = nan", "spend_per_day_usd"),
        (
            '[limits]\nspend_per_day_usd = "5"',
            "spend_per_day_usd must be a number from 0 to",
        ),
        ('[notify]\ndesktop = "yes"', "desktop must be true or false"),
        ("[notify]\ncommand = ['x']", "command must be"),
        ('[notify]\ncommand = "tell \'me"', "has a quote that is not closed"),
        ('[notify]\ncommand = "  "', "command names no program"),
        ("[notify]\ncommand = \"''\"", "command names no program"),
        ('[notify]\ncommand = "a\\u0000b"', "without control characters"),
        ('[notify]\ncomand = "x"', 'did you mean "command"?'),
        ('[[watch]]\npath = "a"\non_delete = "drop"', "on_delete must be one of"),
        ('[[watch]]\npath = "a"\nevents = "x"', "events must be one of"),
        ('[[watch]]\npath = "a"\nignore = ["ok", "!"]', 'ignore has "!"'),
        ('[[watch]]\npath = "a"\nworkspace_id = "x"', "workspace_id must be the number of a workspace"),
        ('[[watch]]\npath = ""', "path must be one line of text"),
        ('[[watch]]\noutput = "a"', "path is missing"),
        ("[watch]\npath = 1", "watch must be tables, each under a line [[watch]]"),
        ("timing = 1", "timing must be a table"),
        ('[tune]\nmodel_type = "x"', "[tune]: model_type must be one of"),
        ('[tune]\ntitle = "x"', '[tune]: there is no key "title"'),
        ("[tune]\ncharacteristics = {a = nan}", "characteristics.a"),
        ("[prompt]\nnum_images = 9", "[prompt]: num_images must be a whole number from 1 to 8"),
        ('[prompt]\ntext = "x"', "text cannot be a default"),
        ('[models]\ndefault = "gemni"', 'did you mean "gemini"?'),
        ("[models]\ndefault = true", "default must be"),
        ("[models]\nmine = 0", "mine must be a tune id"),
        ("[models]\n12 = 5", "12 is a number"),
        ('[astria]\nbase_url = "api.astria.ai"', "base_url must be an http(s) URL"),
        ('[astria]\nbase_url = "ftp://x"', "base_url must be an http(s) URL"),
        ('[astria]\nbase_url = "https://x:y"', "base_url must be an http(s) URL"),
        ('[astria]\nbase_url = "https://x/?a=b"', "base_url must be an http(s) URL"),
        ("[astria]\ntimeout_seconds = 0", "timeout_seconds"),
        ("a = 1\nb =", "{file}, line 2: this is not TOML"),
    ],
)
def test_what_is_wrong_is_told(home, text, words):
    """One sentence with file and key, and the nearest valid key where there is one."""
    (problem,) = problems(text, home)
    assert words.replace("{file}", str(home / "c.toml")) in problem


def test_all_problems_are_told_at_once(home):
    """A person mends a configuration once."""
    text = 'x = 1\n[timing]\npoll_seconds = 0\nsettle_seconds = "a"\n[models]\ndefault = "x"\n[[watch]]\n[[watch]]\npath = 5'
    assert (
        len(problems(text, home, {"GEMINI_TUNE_ID": "x", "WORKSPACE_ID": "y", "ASTRIA_BASE_URL": "z"})) == 9
    )


def test_a_password_in_the_address_is_refused_unprinted(home):
    """What is secret has its own place, and is in no error."""
    (problem,) = problems('[astria]\nbase_url = "https://me:hunter2@x.example"', home)
    assert "must not hold a user name or a password" in problem
    assert "hunter2" not in problem


def test_a_broken_file_of_the_official_client_is_told(home):
    """Its workspace may be the one that is charged, so it is not ignored; what is complete without it does not look."""
    (home / ".astria").mkdir()
    (home / ".astria/config.json").write_text("[")
    assert "config.json" in problems("", home)[0]
    assert read('[astria]\nbase_url = "https://x.example"\nworkspace_id = 5', home).astria.workspace_id == "5"


@pytest.mark.parametrize(
    ("watches", "words"),
    [
        ([("a", "o"), ("a", "p")], "overlap"),
        ([("a", "o"), ("a/b", "p")], "overlap"),
        ([("a/b/c", "o"), ("a", "p")], "overlap"),
        ([("a", "o"), ("link", "p")], "overlap"),
        ([("a", "o"), ("link/b", "p")], "overlap"),
        ([("a", "a")], "is or contains the watched root"),
        ([("a/b", "a")], "is or contains the watched root"),
        ([("a", "link")], "is or contains the watched root"),
        ([("a", "o"), ("o/b", "p")], "is or contains the watched root"),
    ],
)
def test_folders_that_get_into_each_others_way_are_refused(home, watches, words):
    """Roots do not overlap, and no picture made is taken for a new one, also through symbolic links."""
    (home / "a").mkdir()
    (home / "link").symlink_to(home / "a")
    (problem,) = problems(
        "".join(f'[[watch]]\npath = "{path}"\noutput = "{output}"\n' for path, output in watches), home
    )
    assert words in problem


@pytest.mark.parametrize(
    "watches", [[("a", "o"), ("ab", "o")], [("a", "a/out")], [("a", "o"), ("b", "a/out")]]
)
def test_folders_that_do_not_are_accepted(home, watches):
    """One output for two roots, and an output inside a root, are wanted by people."""
    text = "".join(f'[[watch]]\npath = "{path}"\noutput = "{output}"\n' for path, output in watches)
    assert len(read(text, home).watch) == len(watches)


def test_links_that_go_round_do_not_go_on_for_ever(home):
    """A loop of links is told as a folder that is not there."""
    (home / "a").symlink_to(home / "b")
    (home / "b").symlink_to(home / "a")
    assert check_roots(read('[[watch]]\npath = "a"', home)) != []


def test_roots_are_looked_for_when_asked(home):
    """A disk that is not mounted is no mistake of the configuration."""
    (home / "file").touch()
    (home / "there").mkdir()
    found = read('[[watch]]\npath = "none"\n[[watch]]\npath = "file"\n[[watch]]\npath = "there"', home)
    missing, no_folder = check_roots(found)
    assert "does not exist" in missing
    assert "is no folder" in no_folder


def test_nothing_to_watch_is_only_an_error_for_those_who_watch(home):
    """Commands that ask the account need no folder."""
    found = read("", home)
    with pytest.raises(ConfigError, match="has no \\[\\[watch\\]\\]"):
        require_watches(found)
    require_watches(read('[[watch]]\npath = "a"', home))


def test_settings_do_not_change(home):
    """Threads read them without asking."""
    found = read("", home)
    with pytest.raises(FrozenInstanceError):
        found.timing.poll_seconds = 1.0


def test_reading_the_configuration_is_light():
    """`--help` and `status` do not wait for what only the daemon needs."""
    heavy = "{'ruamel', 'httpx', 'apscheduler', 'watchdog', 'pathspec'}"
    code = f"import sys, astria_sync.config, astria_sync.secrets; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


SCALARS = st.sampled_from(
    ["1", "-1", "0.5", "nan", "true", '""', '"x"', '"3:4"', "[]", '["a"]', "{}", "{a = 1}", "2024-01-01"]
)
KEYS = st.sampled_from(
    sorted({*TOP, *WATCH, "default", *(key for keys in (*TABLES.values(), INHERITED) for key in keys), "x"})
)
HEADS = st.sampled_from(
    [*(f"[{name}]" for name in (*TABLES, "tune")), "[models]", "[prompt]", "[[watch]]", ""]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(HEADS, st.dictionaries(KEYS, SCALARS, max_size=4)), max_size=4))
def test_no_configuration_breaks_the_reader(home, sections):
    """Whatever stands under whichever key, there are settings or sentences."""
    lines = [head + "".join(f"\n{key} = {value}" for key, value in keys.items()) for head, keys in sections]
    try:
        assert isinstance(read("\n".join(lines), home), Settings)
    except ConfigError as error:
        told = error.problems
        assert told
