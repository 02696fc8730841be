"""What happened, as lines of the log: told by the journal once it is committed, so that nothing rolled back is, and nothing twice."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from astria_sync.core.happening import Happening, sentence
from astria_sync.core.money import USD
from astria_sync.core.pseudoroots import place_of
from astria_sync.journal import Journal

log = logging.getLogger("astria_sync")

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_Place = tuple[str, str]  # root and path; both "" where there is no file


class Logbook:
    """Listens to a journal (`on_commit`)."""

    def __init__(self, journal: Journal, *, roots: int = 1) -> None:
        """Of several roots a file is told with its whole path."""
        self._journal = journal
        self._whole = roots > 1

    def __call__(self, happened: Sequence[Happening]) -> None:
        """Log what is wanted of it. What is done with it is over: no defect here may stop what is to follow."""
        try:
            self._tell([one for one in happened if log.isEnabledFor(_LEVELS[one.level])])
        except Exception:
            log.exception("a defect: what happened could not be logged")

    def _tell(self, happened: Sequence[Happening]) -> None:
        places: dict[int, _Place] = {}
        for one in happened:
            root, path = self._place(one.source_id, places) if one.source_id else (one.root, one.path)
            told = sentence(one, self._shown(root, path, self._for(one, path, places)))
            log.log(_LEVELS[one.level], "%s", told, extra={"facts": facts(one, root, path)})

    def _place(self, source_id: int, places: dict[int, _Place]) -> _Place:
        if source_id not in places:
            rows = self._journal.rows("SELECT root, path FROM sources WHERE id = ?", [source_id])
            places[source_id] = (place_of(rows[0]["root"]), rows[0]["path"]) if rows else ("", "")
        return places[source_id]

    def _for(self, one: Happening, path: str, places: dict[int, _Place]) -> str:
        """For which folder, of a prompt that is run for several."""
        subject = self._place(one.subject_id, places)[1] if one.subject_id else ""
        return "" if subject == os.path.dirname(path) or subject in {"", "."} else f" for {subject}"

    def _shown(self, root: str, path: str, subject: str) -> str:
        if not root:
            return ""
        whole = root if path == "." else os.path.join(root, path)
        return f"{whole if self._whole or path == '.' else path}{subject}"


def facts(one: Happening, root: str, path: str) -> Mapping[str, Any]:
    """What a program reads of it; what does not apply is left out."""
    found = {
        "event": one.event,
        "kind": one.kind,
        "file": path,
        "root": root,
        "id": one.item_id,
        "remote_id": one.remote_id,
        "variant": dict(one.variant),
        "from": one.was,
        "to": one.state,
        "seconds": one.seconds,
        "seconds_since_sent": one.since_sent,
        "cost_usd": None if one.cost_mc is None else one.cost_mc / USD,
        "pictures_in": one.into,
        "reason": one.detail if one.event else "",
    }
    return {key: value for key, value in found.items() if value not in (None, "", {})}
