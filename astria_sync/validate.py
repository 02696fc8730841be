"""Tables that people write, checked against a table of types: every problem at once, in plain words.

msgspec decides whether a value fits; it stops at the first problem and speaks of Python's types, so each key is
converted alone, and what was expected is told from the type itself.
"""

import contextlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, inspect

from astria_sync.errors import FileProblem

NonEmpty = Annotated[str, Meta(min_length=1, pattern=r"\S", description="text that is not empty")]
Line = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*\Z", description="one line of text"),
]
Url = Annotated[str, Meta(pattern=r"(?i)^https?://[^\s/?#]+[^\s\x00-\x1f]*\Z", description="an http(s) URL")]
# As large as any id may come; SQLite and JSON readers hold more, but not much.
PositiveInt = Annotated[int, Meta(ge=1, le=10**15, description="a whole number greater than 0")]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several types, tried in turn.

    Not a union: msgspec 0.22 corrupts memory when text with a pattern meets a list in one (a crash in convert()).
    """

    types: tuple[Any, ...]
    words: str


Id = Either((PositiveInt, Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,14}\Z")]), "a number")

_MOST_KEYS = 1000  # of one table: each that is not known is compared with all that are
# Python's reader takes time and memory for the square of a dotted key's length.
_DOTTED = re.compile(r"""(?:\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*){100}""")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOML_PLACE = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$", re.DOTALL
)


def check(
    table: Mapping[str, Any], fields: Mapping[str, Any], *, where: str
) -> tuple[dict[str, Any], list[str]]:
    """The values that fit, converted, and a sentence for each that does not."""
    good: dict[str, Any] = {}
    problems: list[str] = []
    if len(table) > _MOST_KEYS:
        return good, [f"{where}: there are {len(table):,} keys in it, and none of its kind has so many."]
    for key, value in table.items():
        if key not in fields:
            problems.append(unknown(key, fields, where=where))
        elif value is None:
            problems.append(
                f"{where}: {key} has no value; give it one, or take the line out (text with a # in it needs quotes)."
            )
        else:
            try:
                good[key] = _convert(value, fields[key])
            except (msgspec.ValidationError, OverflowError):
                told = _wrong_entry(value, fields[key]) or f"not {found(value)}"
                problems.append(f"{where}: {key} must be {expected(fields[key])}, {told}.")
    return good, problems


def _wrong_entry(value: Any, kind: Any) -> str:
    """Which entry of a list it is that does not fit; "" if that is not the trouble."""
    for one in kind.types if isinstance(kind, Either) else (kind,):
        plain = get_args(one)[0] if get_origin(one) is Annotated else one
        if not isinstance(value, list) or get_origin(plain) not in {tuple, list}:
            continue
        for number, entry in enumerate(value, start=1):
            try:
                msgspec.convert(entry, get_args(plain)[0])
            except (msgspec.ValidationError, OverflowError):
                return f"and entry {number}, {found(entry)}, is none"
    return ""


def _convert(value: Any, kind: Any) -> Any:
    if not isinstance(kind, Either):
        return msgspec.convert(value, kind)
    for one in kind.types[:-1]:
        with contextlib.suppress(msgspec.ValidationError, OverflowError):
            return msgspec.convert(value, one)
    return msgspec.convert(value, kind.types[-1])


def unknown(key: str, known: Collection[str], *, where: str) -> str:
    near = nearest(key, known)
    hint = f'did you mean "{near}"?' if near else f"the keys here are {', '.join(known)}."
    return f"{where}: there is no key {_quoted(key)}; {hint}"


def nearest(word: str, known: Collection[str]) -> str | None:
    """The valid word that was probably meant; none if a guess would only mislead."""
    import difflib  # here: most tables that people write have no slip in them

    plain = word.lower().replace("-", "_")
    if near := difflib.get_close_matches(plain, known, n=1):
        return near[0]
    holding = [candidate for candidate in known if len(plain) > 2 and plain in candidate]
    return min(holding, key=len, default=None)


def expected(kind: Any) -> str:
    return kind.words if isinstance(kind, Either) else _words(inspect.type_info(kind))


def found(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > 1000:
            return "a number that long"
        case int() | float():
            return _short(str(value))
        case str():
            return "that" if _looks_secret(value) else f"the text {_quoted(value)}"
        case list() | tuple():
            return "this list" if value else "an empty list"
        case dict():
            return "a table"
        case None:
            return "nothing"
        case _:
            return "a date or time"


def decode(data: bytes, *, where: str) -> str:
    """The text of a file that a person wrote, with plain line ends and without a byte order mark."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileProblem(f"{where} is not a text file in UTF-8; save it again with that encoding.") from None
    if _CONTROL.search(text):
        raise FileProblem(
            f"{where} is not a text file: there are control characters in it; save it as plain text."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_toml(data: bytes, *, where: str) -> dict[str, Any]:
    text = decode(data, where=where)
    if _DOTTED.search(text):
        raise FileProblem(f"{where}: a name of more than a hundred parts stands in it; take it out.")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FileProblem(f"{where}: lists or tables are nested too deeply in it.") from None
    except ValueError as error:
        place = _TOML_PLACE.match(str(error))
        line = (place and place["line"]) or text.rstrip().count("\n") + 1
        what = place["what"] if place else "a number is too long"
        raise FileProblem(f"{where}, line {line}: this is not TOML: {what[:1].lower()}{what[1:]}.") from None


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(extra_json_schema={"description": str(told)}):
            return told
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.IntType():
            return "a whole number" + _range(kind)
        case inspect.FloatType():
            return "a number" + _range(kind)
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f'"{value}"' for value in values)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"a list, each entry {_words(item)}"
        case inspect.DictType():
            return "a table"
        case _:
            return "text"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    step = f" and a multiple of {kind.multiple_of}" if kind.multiple_of else ""
    if kind.gt is not None:
        return f" greater than {kind.gt}{step}"
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge:.15g} to {kind.le:.15g}{step}"
    return f" of at least {kind.ge}{step}" if kind.ge is not None else step


def _quoted(text: str) -> str:
    return json.dumps(_short(text), ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _looks_secret(text: str) -> bool:
    """A token put under the wrong key must not be repeated in an error, which may end in a log."""
    return text.strip().lower().startswith("sd_")
