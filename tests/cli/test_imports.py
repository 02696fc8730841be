"""Commands that only read import nothing that they do not use."""

import json
import subprocess
import sys

import pytest

from astria_sync import modelnames
from astria_sync.journal import open_journal

HEAVY = [
    "httpx",
    "apscheduler",
    "watchdog",
    "sqlite_utils",
    "rich",
    "PIL",
    "uvicorn",
    "starlette",
    "ruamel",
    "asyncio",
]


# Of ours and of the standard library: what only orders, prices, slips of the fingers, connections and copies need.
UNASKED = [
    "astria_sync.backup",
    "astria_sync.core.account",
    "astria_sync.core.prices",
    "astria_sync.core.records",
    "astria_sync.core.retry",
    "astria_sync.core.wire",
    "astria_sync.core.work",
    "astria_sync.kernel",
    "astria_sync.parameters",
    "astria_sync.picturehosts",
    "astria_sync.schema",
    "astria_sync.statefile",
    "difflib",
    "hashlib",
    "logging",
    "socket",
    "ssl",
]


def loaded(desk, *arguments):
    """What a call has of packages in sys.modules at its end."""
    return {name.partition(".")[0] for name in modules(desk, *arguments)}


def modules(desk, *arguments):
    """What a call has in sys.modules at its end."""
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted(k for k, v in sys.modules.items() if v), file=sys.stderr))\n"
        "from astria_sync.cli import main\n"
        f"sys.argv = ['astria-sync', *{arguments!r}]\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], env=desk.environ(), capture_output=True, text=True, check=True
    )
    return set(run.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["status"], ["status", "--json"]])
def test_reading_is_light(desk, arguments):
    """`--help` and `status` import neither network, scheduler, watcher, pictures nor what writes the state."""
    desk.configure()
    config = [] if arguments[0].startswith("--") else ["--config", str(desk.config)]
    assert loaded(desk, *config, *arguments).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "name", ["tunes", "prompts list", "packs get", "models", "whoami", "workspaces list"]
)
def test_help_of_the_account_is_light(desk, name):
    """What these commands can do is told without the network, tables or the configuration."""
    assert loaded(desk, *name.split(), "--help").isdisjoint([*HEAVY, "msgspec"])


def test_help_reads_no_configuration(desk):
    """`--help` does not even need msgspec."""
    assert "msgspec" not in loaded(desk, "--help")


def test_status_beside_a_daemon_is_light_too(desk):
    """Finding out who holds the state imports nothing heavy either."""
    desk.configure()
    desk.state.with_name("state.db.lock").touch()
    assert loaded(desk, "--config", str(desk.config), "status").isdisjoint(HEAVY)


def test_a_daemon_carries_no_command_line_of_another():
    """What a daemon is built of brings neither rich nor pygments along (httpx would, for a command of its own), nor what only some files need."""
    script = "import sys, astria_sync.service; print(*(n for n, one in sys.modules.items() if one))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in run.stdout.split()}.isdisjoint(
        {"rich", "pygments", "ruamel", "PIL"}
    )


def test_status_knows_no_more_than_it_tells(desk):
    """Of a state and a list of models that are there `status` imports just what reads and tells them."""
    desk.configure('[astria]\nbase_url = "http://127.0.0.1:1"\n')
    open_journal(desk.state, now=0.0).close()
    said = {"models": {"gemini": {"tune_id": 1}}}
    kept = {"version": 1, "base_url": "http://127.0.0.1:1", "asked_at": 0, "answer": said}
    modelnames.place(desk.state).write_text(json.dumps(kept))
    assert modules(desk, "--config", str(desk.config), "status").isdisjoint(UNASKED)


def test_yaml_is_loaded_for_a_block_alone():
    """A prompt of words alone needs none of it, nor does a daemon that has seen no other."""
    script = (
        "import sys\n"
        "from astria_sync import promptfile\n"
        "for data in (b'words', b'---\\nseed: 1\\n---\\nwords'):\n"
        "    assert promptfile.parse(data, name='p').requests[0].text == 'words'\n"
        "    print('ruamel' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
