import copy
import json
import os
import pickle

import pytest

from astria_sync.config import load
from astria_sync.errors import ConfigError, NotAuthorised
from astria_sync.secrets import Token, find_token, require_token

VALUE = "t" * 8


@pytest.fixture
def astria(tmp_path):
    return load(None, profile=None, environ={}, home=tmp_path).astria


def write(path, text, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_documented_order_holds(astria, tmp_path):
    """Each place is asked only when those before it have nothing."""
    credentials = tmp_path / "credentials"
    official = write(tmp_path / ".astria/config.json", json.dumps({"api_key": "e" * 8}), 0o644)
    assert find_token(astria, environ={}, home=tmp_path).reveal() == "e" * 8
    write(astria.token_file, "d" * 8 + "\n")
    assert find_token(astria, environ={}, home=tmp_path).reveal() == "d" * 8
    write(credentials / "astria-token", "c" * 8, 0o644)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials), "ASTRIA_API_KEY": " ", "ASTRIA_AUTH_TOKEN": ""}
    assert find_token(astria, environ=environ, home=tmp_path).reveal() == "c" * 8
    environ["ASTRIA_API_KEY"] = "b" * 8
    assert find_token(astria, environ=environ, home=tmp_path).reveal() == "b" * 8
    environ["ASTRIA_AUTH_TOKEN"] = f" {'a' * 8}\n"
    found = find_token(astria, environ=environ, home=tmp_path)
    assert (found.reveal(), found.source) == ("a" * 8, "$ASTRIA_AUTH_TOKEN")
    assert official.exists()


def test_an_empty_credential_is_none(astria, tmp_path):
    """The system's unit gives one where its administrator put none; a file of one's own that is empty is a mistake."""
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    write(tmp_path / "astria-token", "\n")
    assert find_token(astria, environ=environ, home=tmp_path) is None
    write(astria.token_file, "d" * 8)
    assert find_token(astria, environ=environ, home=tmp_path).reveal() == "d" * 8
    write(astria.token_file, "\n")
    with pytest.raises(ConfigError, match="is empty"):
        find_token(astria, environ=environ, home=tmp_path)


def test_the_official_clients_profile_is_followed(astria, tmp_path):
    """ASTRIA_PROFILE names another file of the official client."""
    write(tmp_path / ".astria/config.work.json", json.dumps({"api_key": VALUE}))
    assert find_token(astria, environ={}, home=tmp_path) is None
    assert find_token(astria, environ={"ASTRIA_PROFILE": "work"}, home=tmp_path).reveal() == VALUE


def test_no_token_anywhere_says_what_to_do(astria, tmp_path):
    """The error is the one for missing authorisation and names the places to put a token."""
    assert find_token(astria, environ={}, home=tmp_path) is None
    with pytest.raises(NotAuthorised, match="ASTRIA_AUTH_TOKEN") as error:
        require_token(astria, environ={}, home=tmp_path)
    assert str(astria.token_file) in str(error.value)


def test_a_token_shows_only_where_it_came_from():
    """Logs, errors and copies never hold the value by accident."""
    token = Token(f"  {VALUE}\n", source="$HERE")
    assert token.reveal() == VALUE
    for shown in (repr(token), str(token), f"{token}", f"{token!r}", "%s" % token, repr([token])):  # noqa: UP031
        assert VALUE not in shown
        assert "$HERE" in shown
    with pytest.raises(TypeError):
        pickle.dumps(token)
    with pytest.raises(TypeError):
        copy.deepcopy(token)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_read_is_refused(astria, tmp_path, mode):
    """The sentence has the command that mends it, and not the token."""
    write(astria.token_file, VALUE, mode)
    with pytest.raises(ConfigError) as error:
        find_token(astria, environ={}, home=tmp_path)
    assert f"chmod 600 {astria.token_file}" in str(error.value)
    assert VALUE not in str(error.value)


@pytest.mark.parametrize(
    "value", [f"{VALUE}\x00", f"{VALUE}é", f"{VALUE} {VALUE}", f"{VALUE}\nx", f"{VALUE}\x7f", ""]
)
def test_what_is_no_token_is_refused_unprinted(astria, tmp_path, value):
    """A header cannot be smuggled in, and a slip of the clipboard is not shown."""
    write(astria.token_file, value)
    with pytest.raises(ConfigError) as error:
        find_token(astria, environ={}, home=tmp_path)
    assert VALUE not in str(error.value)


def test_what_is_no_file_is_refused(astria, tmp_path):
    """A folder or a pipe under the token's name is told, and never waited for."""
    astria.token_file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="no ordinary file"):
        find_token(astria, environ={}, home=tmp_path)
    astria.token_file.rmdir()
    os.mkfifo(astria.token_file, 0o600)
    with pytest.raises(ConfigError, match="no ordinary file"):
        find_token(astria, environ={}, home=tmp_path)


def test_a_broken_file_of_the_official_client_is_told(astria, tmp_path):
    """A token that cannot be read is not the same as none."""
    write(tmp_path / ".astria/config.json", "{")
    with pytest.raises(ConfigError, match=r"config\.json"):
        find_token(astria, environ={}, home=tmp_path)
