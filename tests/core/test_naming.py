import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from astria_sync.core.naming import (
    COMPONENT_BYTES,
    output_folder,
    picture_name,
    safe_component,
    sidecar_name,
    temporary_name,
)

# Surrogates stand for bytes of a file name that are no UTF-8.
ANY_NAME = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)
WINDOWS_RESERVED = set('<>:"/\\|?*')


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("jane", "jane"),
        ("Jane Doe (2)", "Jane Doe (2)"),
        ("日本 ドレス", "日本 ドレス"),
        ("a/b\\c:d", "a_b_c_d"),
        ('<>:"|?*', "_______"),
        ("tab\there\n", "tab_here_"),
        ("gpj.\u202eexe", "gpj._exe"),
        ("\udcff", "_"),
        ("e\u0301te\u0301", "été"),
        (">\u0338", "≯"),
        ("trailing. . ", "trailing"),
        (".hidden", "_hidden"),
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        ("   ", "_"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("NUL .tar.gz", "_NUL .tar.gz"),
        ("com1", "_com1"),
        ("LPT³", "_LPT³"),
        ("CONIN$", "_CONIN$"),
        ("console", "console"),
        ("com10", "com10"),
    ],
)
def test_known_names(name, safe):
    """Each kind of name that some system refuses has a known safe form, and a harmless one stays."""
    assert safe_component(name) == safe


@given(ANY_NAME)
@example("CON" + " " * 200 + "x")
@example("COM1." + "é" * 200)
@example("." * 300)
@example("a" * 110 + "." * 50 + "b")
def test_a_safe_component_is_one_component_everywhere(name):
    """Whatever the name, the result is a visible, unreserved, encodable component of limited length."""
    safe = safe_component(name)
    assert PurePosixPath(safe).parts == (safe,)
    assert safe not in ("", ".", "..")
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert not WINDOWS_RESERVED & set(safe)
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in safe)
    assert unicodedata.is_normalized("NFC", safe)
    assert len(safe.encode()) <= COMPONENT_BYTES
    assert safe.partition(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}


@given(ANY_NAME)
def test_safe_component_is_idempotent(name):
    """A name that is safe already is left as it is."""
    assert safe_component(safe_component(name)) == safe_component(name)


@given(st.text("aé😀:", min_size=130, max_size=200), st.text("aé😀:", min_size=130, max_size=200))
def test_long_names_stay_different(one, other):
    """Two long names that differ anywhere still differ after cutting."""
    assert (safe_component(one) == safe_component(other)) == (one == other)


def test_composed_and_decomposed_names_are_the_same():
    """What macOS writes decomposed gets the same name, also when it has to be cut."""
    assert safe_component("e\u0301" * 100) == safe_component("é" * 100)


@pytest.mark.parametrize(
    ("folder", "stem", "expected"),
    [
        (".", "lookbook", "lookbook"),
        ("jane", "hiking", "jane/hiking"),
        ("dresses/red", "a: b", "dresses/red/a_ b"),
        ("../../etc", "passwd", "_/_/etc/passwd"),
        ("/abs//x/", "..", "abs/x/_"),
        ("", "x", "x"),
    ],
)
def test_output_folder(folder, stem, expected):
    """The output repeats the folder below its root and can be led nowhere else."""
    assert output_folder(folder, stem) == PurePosixPath(expected)


@given(ANY_NAME, ANY_NAME)
def test_output_folder_stays_below(folder, stem):
    """No folder or stem makes the output absolute, climb, or hide."""
    path = output_folder(folder, stem)
    assert not path.is_absolute()
    assert all(part == safe_component(part) for part in path.parts)


def test_names_of_one_prompt():
    """Picture and sidecar carry the stem, the prompt's id and the number, as the contract writes them."""
    assert picture_name("hiking", 123, 1, ".jpg") == "hiking-123-1.jpg"
    assert sidecar_name("hiking", 123) == "hiking-123.json"


@pytest.mark.parametrize(
    ("extension", "kept"),
    [(".webp", ".webp"), ("", ""), ("png", ".png"), ("./../../x", ".x"), (".\x00", "")],
)
def test_an_extension_cannot_lead_elsewhere(extension, kept):
    """Of an extension only letters and digits come through."""
    assert picture_name("a", 1, 2, extension) == f"a-1-2{kept}"


@given(ANY_NAME, st.integers(0, 2**63), st.integers(1, 8))
def test_temporary_names(stem, prompt_id, n):
    """A temporary name is hidden, its own for each final name, stable, and fits into a directory entry."""
    final = picture_name(stem, prompt_id, n, ".jpg")
    temporary = temporary_name(final)
    assert temporary == f".{final}.part" == temporary_name(final)
    assert len(temporary.encode()) <= 255


def _as_a_card_sees_it(name):
    return unicodedata.normalize("NFD", name).casefold()


@given(
    ANY_NAME,
    ANY_NAME,
    st.tuples(st.integers(0, 99), st.integers(1, 8)),
    st.tuples(st.integers(0, 99), st.integers(1, 8)),
)
@example("Look", "look", (5, 1), (6, 1))
@example("look-5", "look", (6, 1), (5, 6))
def test_names_of_different_prompts_differ_by_more_than_case(stem, other, one, another):
    """Where a file system takes upper and lower case, composed and decomposed for the same, no picture takes another's place."""
    assume(one[0] != another[0])
    for name, second in (
        (picture_name(stem, *one, ".jpg"), picture_name(other, *another, ".jpg")),
        (sidecar_name(stem, one[0]), sidecar_name(other, another[0])),
    ):
        assert _as_a_card_sees_it(name) != _as_a_card_sees_it(second)
        assert _as_a_card_sees_it(temporary_name(name)) != _as_a_card_sees_it(temporary_name(second))


def test_temporary_name_of_the_longest_name():
    """A final name that fills the directory entry still has a temporary one, different from its neighbour's."""
    one, other = temporary_name("é" * 127 + "a"), temporary_name("é" * 127 + "b")
    assert one != other
    assert len(one.encode()) <= 255
    assert one.startswith(".")
    assert one.endswith(".part")
