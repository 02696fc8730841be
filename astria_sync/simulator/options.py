"""How the stand-in behaves: every knob, with the value that suits a quick look by hand."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A scope of its own inside the account, selected by `X-Workspace-Id`."""

    id: int
    title: str
    slug: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Times are in seconds of the simulated clock, which runs `speed` times as fast as the real one."""

    train_seconds: float = 10.0
    generate_seconds: float = 3.0
    trickle: bool = False
    """Pictures of one prompt appear one after the other, not all at once."""

    idempotency: bool = False
    speed: float = 1.0
    balance_usd: float = 100.0

    rate_limit: float | None = None
    """Requests a second that the API host answers before it says 429."""

    link_seconds: float | None = None
    """How long the link to a picture is good for; None: for ever."""

    pack_seconds: float = 0.0
    """The prompts of a pack's run appear so long after one another, the first at once."""

    tells_packs: bool = True
    """Whether a prompt shows of which pack and order it is."""

    list_lag_seconds: float = 0.0
    """How far lists lag behind what was created and finished."""

    expire_days: float = 30.0
    picture_px: int = 512
    picture_format: Literal["jpeg", "png", "webp", "mixed"] = "jpeg"
    user_error_word: str = "FAIL_USER_ERROR"
    """A prompt whose text contains this word ends with a `user_error`."""

    workspaces: tuple[Workspace, ...] = (
        Workspace(id=679, title="Studio", slug="studio"),
        Workspace(id=680, title="Spring", slug="spring"),
    )
    seed: int = 0
    port: int = 0
    pictures_port: int = 0
    pictures_url: str | None = None
    """Another server that has the pictures, at the paths that the lists name; the stand-in's own goes on beside it."""

    token: str | None = field(default=None, repr=False)
    """None: a random one, made at the start."""
