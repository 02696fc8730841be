"""What a prompt says about image folders, and what Astria is told instead.

    <jane> wearing <dresses/red>   →   <faceid:11:1> woman wearing <faceid:12:1> dress

The grammar is in `mentions`, the meaning of a name in `Index`, the exchange in `resolve`. All are total: a text
that means nothing here is a text for Astria.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from astria_sync.core.mentions import Mention, Scanner

_LISTED = 5  # folders named in an error; a hundred folders of one name would bury the advice
_WAITING_FOR = {
    "settling": "its pictures have not settled yet",
    "queued": "its tune is queued",
    "uploading": "its tune is being uploaded",
    "unsure": "it is not sure yet whether its tune was made",
    "training": "its tune is training",
    "failed": "its tune failed, see tune.error.txt in {folder}",
    "expired": "its tune has expired, `astria-sync retrain` makes a new one",
    "deleted": "its tune was deleted, `astria-sync retrain` makes a new one",
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An image folder, as far as a mention needs to know it."""

    key: int  # row id of the folder
    root: str
    path: str  # relative to the root, "." for the root itself
    tune_id: int | None  # None: not known yet
    ready: bool
    model_type: str  # "faceid", "lora", "pti"; "" for a checkpoint
    class_noun: str  # may be ""
    state: str  # of the tune, for the reason to wait

    @property
    def is_reference(self) -> bool:
        return self.model_type != ""

    @property
    def name(self) -> str:
        """The folder's own name; of the root itself, the last component of the root."""
        parts = _parts(f"{self.root}/{self.path}")
        return parts[-1] if parts else self.root


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """A prompt's text for Astria, or why there is none yet (`waits`) or never will be (`problems`)."""

    text: str | None  # None while anything is missing or wrong
    needs: tuple[int, ...]  # keys of the folders that the prompt needs
    waits: tuple[str, ...]  # names without a folder, or whose tune is not ready
    reasons: tuple[str, ...]  # one clause for each of `waits`
    problems: tuple[str, ...]  # final until the text or the folders change


@dataclass(frozen=True, slots=True)
class _Entry:
    subject: Subject
    below_root: tuple[str, ...]
    absolute: tuple[str, ...]


class _Table:
    """Folders by the last one and the last two components: thousands may all be called "photos"."""

    def __init__(self) -> None:
        self._by_tail: dict[tuple[str, ...], list[_Entry]] = {}

    def add(self, entry: _Entry) -> None:
        for tail in {entry.absolute[-1:], entry.absolute[-2:]}:
            self._by_tail.setdefault(tail, []).append(entry)

    def named(self, parts: tuple[str, ...]) -> tuple[Subject, ...]:
        return tuple(entry.subject for entry in self._by_tail.get(parts, ()))

    def readings(self, name: str, parts: tuple[str, ...]) -> Iterator[tuple[Subject, ...]]:
        """What a path may mean, the strictest reading first."""
        entries = self._by_tail.get(parts[-2:], ())
        if name.startswith("/"):
            yield tuple(entry.subject for entry in entries if entry.absolute == parts)
        yield tuple(entry.subject for entry in entries if entry.below_root == parts)
        if not name.startswith("./"):
            yield tuple(entry.subject for entry in entries if _ends_with(entry.below_root, parts))
            # The root's own components tell apart two roots that hold folders of the same path.
            yield tuple(entry.subject for entry in entries if _ends_with(entry.absolute, parts))


class Index:
    """Image folders by name and path; built once for many prompts."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._exact, self._folded = _Table(), _Table()
        for subject in subjects:
            absolute, below = _parts(f"{subject.root}/{subject.path}"), _parts(subject.path)
            if absolute:
                self._exact.add(_Entry(subject, below, absolute))
                self._folded.add(_Entry(subject, _folded(below), _folded(absolute)))

    def find(self, name: str) -> tuple[Subject, ...]:
        """The folders that a name or a path means: none, the one, or all that fit equally well."""
        parts = _parts(name)
        if not parts:
            return ()
        if "/" not in name:
            return self._exact.named(parts) or self._folded.named(_folded(parts))
        readings = chain(self._exact.readings(name, parts), self._folded.readings(name, _folded(parts)))
        return next(filter(None, readings), ())

    def spelling(self, subject: Subject) -> str:
        """The shortest path that means this folder and no other."""
        below = _parts(subject.path)
        absolute = _parts(f"{subject.root}/{subject.path}")
        tails = ("/".join(absolute[-length:]) for length in range(2, len(absolute) + 1))
        candidates = ["/".join(below[-length:]) for length in range(2, len(below) + 1)]
        for spelling in (*candidates, f"./{subject.path}", *tails):
            if self.find(spelling) == (subject,):
                return spelling
        return "/" + "/".join(absolute)


def find(name: str, subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """`Index.find` for a single question."""
    return Index(subjects).find(name)


def resolve(
    text: str,
    *,
    subject: Subject | None,
    index: Index,
    extra_needs: Sequence[Subject] = (),
) -> Resolution:
    """Exchange every mention in `text`; `subject` is the image folder that the prompt lies in.

    `extra_needs` are folders needed without being mentioned: where the prompt is sent to.
    """
    exchange = _Exchange(index=index, subject=subject)
    body = exchange.body(text)
    if subject is not None and subject.is_reference and not exchange.subject_mentioned:
        body = exchange.in_front(subject, body)
    for extra in extra_needs:
        exchange.need(extra, name=extra.name, shown=extra.name)
    complete = not exchange.waits and not exchange.problems
    return Resolution(
        text=body if complete else None,
        needs=tuple(exchange.needs),
        waits=tuple(name for name, _ in exchange.waits.values()),
        reasons=tuple(reason for _, reason in exchange.waits.values()),
        problems=tuple(exchange.problems),
    )


@dataclass(kw_only=True)
class _Exchange:
    """One pass over one text. The dictionaries keep the order and drop repetitions."""

    index: Index
    subject: Subject | None
    needs: dict[int, None] = field(default_factory=dict)
    waits: dict[int | str, tuple[str, str]] = field(
        default_factory=dict
    )  # by key, or by name without a folder
    problems: dict[str, None] = field(default_factory=dict)
    subject_mentioned: bool = False

    def body(self, text: str) -> str:
        scanner, at, told = Scanner(text), 0, []
        while at < len(text):
            piece, at = scanner.read(at)
            if isinstance(piece, Mention):
                piece, at = self._told(piece, text, at)
            told.append(piece)
        return "".join(told)

    def in_front(self, subject: Subject, body: str) -> str:
        self.need(subject, name=subject.name, shown=f"<{subject.name}>")
        body = body.lstrip()
        noun, _ = _noun_after_token(subject.class_noun.strip(), body, 0)
        mention = f"{_token(subject)}{noun.rstrip()}"
        return f"{mention} {body}" if body else mention

    def need(self, subject: Subject, *, name: str, shown: str) -> None:
        self.needs[subject.key] = None
        if not subject.ready or subject.tune_id is None:
            self.waits.setdefault(subject.key, (name, f"{shown}: {_waiting_for(subject)}"))

    def _told(self, mention: Mention, text: str, at: int) -> tuple[str, int]:
        """What Astria is told for a mention that ends at `at`, and where the text goes on."""
        as_written = f"<{mention.written}>"
        if mention.has_id:
            if self.subject is not None and int(mention.name) == self.subject.tune_id:
                self.subject_mentioned = True
            return as_written, at
        target = self._own() if mention.is_own else self._found(mention)
        if target is None:
            return as_written, at
        name = target.name if mention.is_own else mention.name
        self.need(target, name=name, shown=f"<{name}>")
        self.subject_mentioned |= self.subject is not None and target.key == self.subject.key
        if mention.kind:
            return f"<{mention.kind}:{target.tune_id}:{mention.weight}>", at
        noun, at = _noun_after_token(target.class_noun.strip(), text, at)
        return _token(target) + noun, at

    def _own(self) -> Subject | None:
        return self.subject if self.subject is not None and self.subject.is_reference else None

    def _found(self, mention: Mention) -> Subject | None:
        """The one reference that is meant; what else it may be is noted."""
        found = self.index.find(mention.name)
        if len(found) > 1:
            self.problems[self._ambiguous(mention.name, found)] = None
        elif found and not found[0].is_reference:
            self.problems[self._checkpoint(mention.name, found[0])] = None
        elif found:
            return found[0]
        elif mention.kind != "lora" and not mention.may_be_text:
            reason = f"<{mention.name}>: no image folder of that name yet"
            self.waits.setdefault(mention.name, (mention.name, reason))
        return None

    def _ambiguous(self, name: str, found: Sequence[Subject]) -> str:
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        paths = ", ".join(subject.path for subject in found[:_LISTED])
        say = " or ".join(f"<{self.index.spelling(subject)}>" for subject in found[:_LISTED])
        return f"<{name}>: {len(found)} image folders fit, {paths}{more}; say which with {say}"

    def _checkpoint(self, name: str, target: Subject) -> str:
        own = self.subject is not None and self.subject.key == target.key
        advice = "say <1>" if own else f"say `model: {name}`"
        return f"<{name}>: its tune is a checkpoint, which cannot be mentioned in a text; {advice}"


def _token(subject: Subject) -> str:
    return f"<{subject.model_type}:{subject.tune_id}:1>"


def _noun_after_token(noun: str, text: str, at: int) -> tuple[str, int]:
    """What goes between a token and `text[at:]`, and where the text goes on, so that the noun stands there once."""
    if not noun:
        return "", at
    there = re.compile(rf"\s*(?={re.escape(noun)}(?!\w|-\w))", re.IGNORECASE).match(text, at)
    if there:
        return " ", there.end()
    following = text[at : at + 1]
    return f" {noun}" + (" " if following.isalnum() or following == "<" else ""), at


def _waiting_for(subject: Subject) -> str:
    folder = subject.name if subject.path == "." else subject.path
    return _WAITING_FOR.get(subject.state, "its tune is not ready yet").format(folder=folder)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in unicodedata.normalize("NFC", path).split("/") if part not in ("", "."))


def _folded(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part.casefold()) for part in parts)


def _ends_with(parts: tuple[str, ...], tail: tuple[str, ...]) -> bool:
    return parts[-len(tail) :] == tail
