"""`pull` in a studio: an account in which others have made things, and the reading engine on the test's own thread."""

import dataclasses
from contextlib import contextmanager, suppress
from typing import Any

from astria_sync import pulljob, pullreport
from astria_sync.rescue import Reader, _PullLoop
from astria_sync.settings import Pull
from tests.studio_harness import Crash, Daemon, Studio

GEMINI = 3618064


class Puller(Daemon):
    """One `pull` without a daemon."""

    def __init__(
        self, studio: Studio, *, since: float | None = None, output: str | None = None, **how: Any
    ) -> None:
        super().__init__(studio, **how)
        whole, ctx = studio.settings(), self.engine.ctx
        self.began = self.clock.wall()
        ctx.settings = dataclasses.replace(whole, watch=(), pull=Pull())
        asked = {"since": since, "output": output}
        self.engine = Reader(
            ctx,
            self.engine.pool,
            job=lambda ctx: pulljob.ask(ctx.journal, asked, ctx.wall, settings=whole) and None,
            on_progress=lambda: None,
        )
        self.engine.strict = True
        self.loop = _PullLoop(self.engine)


@contextmanager
def puller(studio: Studio, **how: Any) -> Any:
    daemon = Puller(studio, **how)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()


def pull(studio: Studio, *, timeout: float = 10.0, **how: Any) -> dict[str, Any]:
    """From the lists to the last picture; the summary."""
    with puller(studio, **how) as daemon:
        assert daemon.run(timeout), f"it did not come to rest: {studio.told(daemon.journal)}"
        began = daemon.began
    return pullreport.summary(studio.state, began)


def killed(studio: Studio, when: Any, *, sent: bool, timeout: float = 10.0) -> None:
    """A pull that dies as soon as a piece of work is committed, before or after it goes out."""
    with suppress(Crash), puller(studio, crash_when=when, sent=sent) as daemon:
        daemon.run(timeout)
        raise AssertionError(f"it never came to the crash: {studio.told(daemon.journal)}")


def tune(studio: Studio, title: str, **more: str) -> int:
    """A tune that somebody made on the web page."""
    fields = {
        "tune[title]": title,
        "tune[name]": "woman",
        **{f"tune[{key}]": value for key, value in more.items()},
    }
    return int(studio.outside("/tunes", fields)["id"])


def made(studio: Studio, text: str = "a cat", *, tune_id: int = GEMINI, **more: str) -> int:
    """A generation that somebody asked for on the web page."""
    fields = {"prompt[text]": text, **{f"prompt[{key}]": value for key, value in more.items()}}
    return int(studio.outside(f"/tunes/{tune_id}/prompts", fields)["id"])


def lists(studio: Studio, what: str = "prompts") -> list[Any]:
    """Pages of a list that were asked for."""
    return list(studio.sim.ledger.requests("GET", f"^/{what}$", host="api"))


def fetched(studio: Studio) -> list[str]:
    """Pictures that were asked for, by path."""
    return [one.path for one in studio.sim.ledger.requests("GET", host="pictures")]
