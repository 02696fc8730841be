"""The reference and the man page are what the code has."""

import ast
import shutil
import subprocess

import pytest

from astria_sync import parameters, settings, tunefile
from astria_sync.core import lifecycle
from tests import declared, manpage, reference
from tests.declared import TOP

MAN = TOP / "docs" / "astria-sync.1"


def test_the_reference_is_the_code():
    """docs/reference.md is what `make reference` writes."""
    assert (TOP / "docs" / "reference.md").read_text() == reference.page()


def test_the_man_page_is_the_code():
    """docs/astria-sync.1 is what `make reference` writes."""
    assert MAN.read_text() == manpage.page()


def test_the_man_page_is_sound():
    """groff has nothing to complain of, and every option can be copied from it into a shell."""
    if not shutil.which("groff"):
        pytest.skip("there is no groff here")
    run = subprocess.run(
        ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", str(MAN)], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    assert "--profile NAME" in run.stdout.replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_the_wheel_takes_the_man_page_along():
    """It is installed where `man` looks for what lies beside the command."""
    assert '"docs/astria-sync.1" = "share/man/man1/astria-sync.1"' in (TOP / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("file", "where", "keys"),
    [
        ("tunefile.py", "OWN", tunefile.OWN),
        ("tunefile.py", "INHERITED", tunefile.INHERITED),
        ("parameters.py", "PARAMETERS", parameters.PARAMETERS),
        ("core/lifecycle.py", "TuneState", lifecycle.TuneState),
        ("core/lifecycle.py", "PromptState", lifecycle.PromptState),
        ("core/lifecycle.py", "PackState", lifecycle.PackState),
    ],
)
def test_everything_has_its_meaning_where_it_is_declared(file, where, keys):
    """Each key and state has a comment that says what it is."""
    told = declared.words(file, where)
    assert set(told) == {str(key) for key in keys}
    assert all(told.values()), [key for key, words in told.items() if not words]


@pytest.mark.parametrize("where", ["describe", "_asked_for"])
def test_every_field_of_a_record_has_its_meaning(where):
    """No field of a sidecar is left out, nor without words."""
    tree = ast.parse((TOP / "astria_sync" / "provenance.py").read_text())
    function = next(node for node in tree.body if getattr(node, "name", "") == where)
    keys = {
        key.value
        for node in ast.walk(function)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    } - {"parameter", "path" if where == "describe" else ""}  # of the files, told with them
    told = declared.words("provenance.py", where)
    assert set(told) == keys
    assert all(told.values()), [key for key, words in told.items() if not words]


def test_every_setting_has_its_meaning():
    """Each key of the configuration is in the example with words beside it."""
    found = {(one.table, one.key): one.told for one in declared.settings()}
    for table, keys in {**settings.TABLES, "watch": settings.WATCH}.items():
        assert {key for (of, key) in found if of == table} == set(keys), table
    unsaid = [key for (table, key), told in found.items() if not told and table not in {"models", "prompt"}]
    assert unsaid == []


def test_the_environment_is_what_is_read():
    """Every variable that the program looks up is told, and none that it does not."""
    source = "".join(file.read_text() for file in (TOP / "astria_sync").rglob("*.py"))
    assert declared.variables() <= set(declared.ENVIRONMENT)
    assert [name for name in declared.ENVIRONMENT if f'"{name}"' not in source] == []


def test_every_option_is_told():
    """Each option of each command stands in the reference and in the man page."""
    page, man = reference.page(), manpage.page().replace("\\-", "-")
    for _, group in declared.commands():
        for one in group:
            assert f"#### `{one.name}`" in page
            assert one.help, one.name
            for name, told in one.options:
                assert told, (one.name, name)
                assert declared.of(name) in page
                assert name in man
