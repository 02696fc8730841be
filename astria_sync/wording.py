"""Why an order stands where it does, and what happens next: the words of `status`, from the columns of its row."""

import posixpath
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_AGAIN: Final = "goes again when the file changes, or on: astria-sync retry PATH"
_CROWD: Final = "too many new prompts came at one go: it is held back when that is ready, unless let go before: astria-sync approve PATH"
REHEARSAL: Final = "_rehearsal"  # in a variant, of what is made for nothing

COLLAPSED_TUNE: Final = (
    "Astria answered with tune {id}, which was there before (idempotency is on and the title {title!r} is taken); "
    "write another title, or id = {id} to use that one, into tune.toml."
)
COLLAPSED_PROMPT: Final = "Astria answered with prompt {id}, which was there before (idempotency is on); nothing new was made; give another seed."


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What holds for all orders at this moment."""

    now: float
    ahead: float = 0.0  # seconds that the clock of deadlines is ahead of `now`, since that was set
    paused: bool = False
    running: bool = True  # a daemon is
    gates: Mapping[str, str] = field(default_factory=dict)  # closed doors: name → reason
    uploads: Mapping[str, Any] = field(default_factory=dict)  # progress.py


def _due(order: Any, around: Circumstances) -> float:
    """When it goes on, by the clock that people see."""
    return float(order["next_at"] - around.ahead)


def why_and_then(order: Any, around: Circumstances) -> tuple[str, str]:
    """Two clauses on a row of report.py's: the reason, in Astria's own words where it has any, and what comes next."""
    told = _told(order)
    if (at := order["delete_at"]) and at > 0 and order["state"] != "deleted":
        when = _clock(at - around.ahead, around)
        return "its file is gone", _unless_stopped(
            around, f"Astria's copy is deleted at {when}; put the file back to keep it"
        )
    if order["stale"]:
        return told, "of an earlier version of its file, or of a file that is gone; nothing more happens"
    if order["problem"] and order["state"] != "failed":
        problem = " ".join(str(order["problem"]).split())
        return problem, "what was made before stays; mend the file"
    words = _PACK_BY_STATE if order["kind"] == "pack" else _BY_STATE
    why, then = words.get(order["state"], _BY_STATE[order["state"]])(order, around)
    hinted = "`astria-sync " in told and then != _CROWD
    return told or why, "" if hinted else then


def _told(order: Any) -> str:
    """The row's reason and Astria's words, on one line, without the file's name that stands beside them anyway."""
    reason, error = (" ".join(str(order[key] or "").split()) for key in ("reason", "error"))
    reason = reason.removeprefix(f"{posixpath.basename(order['path'])}: ").rstrip(".")
    return ": ".join(part for part in (reason, error.rstrip(".")) if part)


def of_variant(variant: Mapping[str, Any]) -> str:
    """Which of a file's requests it is, in words: its folder, its values of the matrix, and whether it is rehearsed."""
    told = [f"{name}: {value}" for name, value in variant.items() if name != REHEARSAL]
    return ", ".join([*told, *(["rehearsal"] if REHEARSAL in variant else [])])


def _settling(order: Any, around: Circumstances) -> tuple[str, str]:
    if order["is_read"]:
        return "read", _unless_stopped(around, "whether it can go is being looked at")
    return "new, or being changed", _unless_stopped(
        around, "it is taken up once nothing in it changes any more"
    )


def _waiting(order: Any, around: Circumstances) -> tuple[str, str]:
    if order["crowd"]:
        return "waits for what it mentions", _CROWD
    return "waits for what it mentions", _unless_stopped(around, "goes by itself when that is ready")


def _held(_: Any, around: Circumstances) -> tuple[str, str]:
    del around
    return "held back: too many new prompts at one go", "goes on: astria-sync approve --all"


def _queued(order: Any, around: Circumstances) -> tuple[str, str]:
    if order["kind"] == "tune" and order["pack_held"]:
        return "goes with its pack, which is held back", "goes on: astria-sync approve PATH"
    why = "ready to be sent"
    if around.paused:
        return why, "rests until: astria-sync resume"
    if around.gates:
        return why, "rests: " + " ".join(next(iter(around.gates.values())).split())
    if (due := _due(order, around)) > around.now + 1:
        return why, _unless_stopped(around, f"tried again at {_clock(due, around)}")
    return why, _unless_stopped(around, "is sent next")


def _sending(order: Any, around: Circumstances) -> tuple[str, str]:
    if around.running and (progress := around.uploads.get(f"{order['kind']}:{order['row']}")):
        sent, of, pace = progress
        left = f", {pace / 1e6:,.1f} MB/s" if pace else ""
        return (
            f"{sent / 1e6:,.0f} of {of / 1e6:,.0f} MB are sent{left}",
            "the answer is awaited after the last",
        )
    after = (
        "the answer is awaited" if around.running else "looked for at Astria when astria-sync run is started"
    )
    return "is being sent", after


def _unsure(order: Any, around: Circumstances) -> tuple[str, str]:
    due = _due(order, around)
    at = f" at {_clock(due, around)}" if due > around.now + 1 else ""
    return "unsure whether Astria has it", _unless_stopped(around, f"Astria's lists are searched for it{at}")


def _training(_: Any, around: Circumstances) -> tuple[str, str]:
    return "Astria trains it", _unless_stopped(around, "prompts that need it go when it is ready")


def _generating(_: Any, around: Circumstances) -> tuple[str, str]:
    return "Astria makes the pictures", _unless_stopped(around, "they are fetched as they come")


def _downloading(order: Any, around: Circumstances) -> tuple[str, str]:
    fetched = f"{order['saved']} of {order['wanted']} pictures are here"
    return fetched, _unless_stopped(around, "the rest is being fetched")


def _failed(order: Any, around: Circumstances) -> tuple[str, str]:
    del around
    if order["kind"] == "prompt" and order["pack"]:
        return "it failed", "a pack is run once; its words in a .prompt file make it anew"
    return "it failed", _AGAIN


def _expired(_: Any, around: Circumstances) -> tuple[str, str]:
    del around
    return "Astria deleted the tune after its 30 days", "a new one is made on: astria-sync retrain FOLDER"


def _deleted(order: Any, around: Circumstances) -> tuple[str, str]:
    del around
    if order["pulled"]:
        return "Astria does not have it any more", ""
    if order["kind"] == "prompt" and order["pack"]:
        return "Astria does not have it any more", "its words in a .prompt file make it anew"
    again = "retrain FOLDER" if order["kind"] == "tune" else "rerun PATH"
    return "Astria does not have it any more", f"it is made anew on: astria-sync {again}"


def _ready(order: Any, around: Circumstances) -> tuple[str, str]:
    del around
    return (
        ("its folder has changed since", "a new tune of it: astria-sync retrain FOLDER")
        if order["changed"]
        else ("", "")
    )


def _done(order: Any, around: Circumstances) -> tuple[str, str]:
    del around
    return f"{order['saved']} pictures on disk" if order["saved"] != 1 else "1 picture on disk", ""


_BY_STATE: Final = {
    "settling": _settling,
    "waiting": _waiting,
    "held": _held,
    "queued": _queued,
    "uploading": _sending,
    "submitting": _sending,
    "unsure": _unsure,
    "training": _training,
    "generating": _generating,
    "downloading": _downloading,
    "failed": _failed,
    "expired": _expired,
    "deleted": _deleted,
    "ready": _ready,
    "done": _done,
}


def _pack_settling(_: Any, around: Circumstances) -> tuple[str, str]:
    return "Astria is asked what the pack holds", _unless_stopped(around, "it is run once that is known")


def _pack_generating(order: Any, around: Circumstances) -> tuple[str, str]:
    shown = f"{order['saved']} of {order['wanted']} prompts have shown up"
    return shown, _unless_stopped(around, "Astria's lists are searched for the rest")


def _pack_done(order: Any, around: Circumstances) -> tuple[str, str]:
    del around
    return f"run, {things(order['saved'], 'prompt')}", ""


_PACK_BY_STATE: Final = {"settling": _pack_settling, "generating": _pack_generating, "done": _pack_done}


def made_besides(kind: str, path: str, remote_id: int, besides: int | None, page: str) -> str:
    """A sentence on what Astria made for an order that has one already (`besides`), or had been refused or given up."""
    where = f": {page}" if page else "."
    if besides is None:
        return (
            f"{path}: Astria made {kind} {remote_id} of a request that it had refused, or that was given up; it is paid "
            f"for and kept{where}"
        )
    if kind == "tune":
        return (
            f"{path}: Astria made its tune twice, {remote_id} besides {besides}, which is the one that is used; ask Astria "
            f"for the price of {remote_id}, or delete it{where}"
        )
    return (
        f"{path}: Astria made it twice, prompt {remote_id} besides {besides}; the pictures of both are fetched, ask Astria "
        f"for the price of {remote_id}{where}"
    )


def _unless_stopped(around: Circumstances, then: str) -> str:
    return then if around.running else "nothing moves until astria-sync run is started"


def _clock(moment: float, around: Circumstances) -> str:
    """The time of day, with the date if it is not today's."""
    then, today = time.localtime(moment), time.localtime(around.now)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)


def things(count: int, what: str = "thing") -> str:
    """`1 prompt`, `2 prompts`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def closed_gates(meta: Mapping[str, Any], *, running: bool) -> dict[str, str]:
    """The doors that are closed, from the state's small facts. Without a daemon the network was last tried long ago; the others stay as they are."""
    lasting = ("gate:auth", "gate:balance")
    found = {key: str(text) for key, text in meta.items() if key.startswith("gate:")}
    return {
        key.removeprefix("gate:"): text for key, text in sorted(found.items()) if running or key in lasting
    }


def problems(meta: Mapping[str, Any], around: Circumstances) -> list[dict[str, str]]:
    """What concerns more than one file, each a kind and a sentence."""
    found = [{"kind": name, "text": text} for name, text in around.gates.items()]
    for key, value in sorted(meta.items()):
        what, _, where = key.partition(":")
        if what in {"root", "output", "records", "backup", "deleting", "reload"}:
            found.append({"kind": "output" if what == "records" else what, "text": str(value)})
        elif what == "unreadable":
            found += [
                {"kind": "unreadable", "text": f"{where}/{path} cannot be used ({why})."}
                for path, why in value.items()
            ]
        elif key == "watch_problems" and around.running:
            found += [{"kind": "watch", "text": f"{root}: {why}"} for root, why in value.items()]
        elif key == "low_balance":
            found.append({"kind": "balance", "text": str(value)})
        elif key == "alarms":
            found += [{"kind": "alarm", "text": str(text)} for text in value]
    return found
