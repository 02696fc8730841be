"""What a configuration must not say although each value has the right type: sentences for the person who wrote it."""

import itertools
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from astria_sync.addresses import is_this_machine
from astria_sync.settings import Astria, Settings, Watch


def base_url(url: str, source: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and parts.port != 0
            and not re.search(r"\s", url)
        )
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or parts.query or parts.fragment:
        yield f"{source}: base_url must be an http(s) URL, such as {Astria.base_url}."
    elif "@" in parts.netloc:
        yield f"{source}: base_url must not hold a user name or a password; the token has a place of its own."
    elif parts.scheme == "http" and not is_this_machine(url):
        yield f"{source}: base_url must be https: over http everybody on the way can read the token; http is for a stand-in on this machine."


def patterns(patterns: tuple[str, ...], *, where: str) -> Iterator[str]:
    for pattern in patterns:
        import pathspec

        try:
            pathspec.GitIgnoreSpec.from_lines([pattern])
        except ValueError:
            yield f"{where}: ignore has {json.dumps(pattern)}, which is no pattern in gitignore's syntax."


def contradictions(settings: Settings, where: Callable[[str], str]) -> Iterator[str]:
    timing = settings.timing
    if timing.retry_max_seconds < timing.retry_base_seconds:
        yield f"{where('timing')}: retry_max_seconds must not be less than retry_base_seconds."
    yield from _overlaps(settings.watch, str(settings.file))
    if settings.notify.command:
        yield from _command(settings.notify.command, where("notify"))


def _command(command: str, where: str) -> Iterator[str]:
    if not command.isprintable():
        yield f"{where}: command must be one line without control characters."
        return
    try:
        words = shlex.split(command)
    except ValueError:
        yield f"{where}: command = {json.dumps(command)} has a quote that is not closed, or ends with a backslash."
        return
    if not words or not words[0]:
        yield f"{where}: command names no program; write its path, or take the line out."


def _overlaps(watches: tuple[Watch, ...], file: str) -> Iterator[str]:
    """Two roots would order the same folder twice; an output around a root would take its pictures for new ones."""
    roots = [(watch.path, Path(os.path.realpath(watch.path))) for watch in watches]
    for (one, real_one), (other, real_other) in itertools.combinations(roots, 2):
        if real_one.is_relative_to(real_other) or real_other.is_relative_to(real_one):
            yield f"{file}: the watched roots {one} and {other} overlap; watch the outer one alone, or move one of them."
    for watch in watches:
        output = Path(os.path.realpath(watch.output))
        for root, real_root in roots:
            if real_root.is_relative_to(output):
                yield f"{file}: the output {watch.output} is or contains the watched root {root}; choose another folder."
