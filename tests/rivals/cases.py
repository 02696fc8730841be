"""What goes wrong, one case at a time: a name, a sentence, and what the stand-in does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from astria_sync.simulator.faults import Fault

Thing = Literal["prompt", "tune"]
PATHS: Final[Mapping[Thing, str]] = {"prompt": r"/prompts$", "tune": r"^/tunes$"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One client, one order, one kind of trouble."""

    name: str
    says: str
    makes: Thing = "prompt"
    faults: tuple[Fault, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    kill: Literal["", "ordered", "fetching"] = ""
    """When the client is ended by SIGKILL in its first run: its order was carried out and not yet answered; its picture too."""

    late: bool = False
    """The service cannot be reached when the client starts."""


def ordering(kind: Any, makes: Thing = "prompt", **how: Any) -> Fault:
    """Trouble with the call that costs money."""
    return Fault(kind=kind, method="POST", path=PATHS[makes], host="api", **how)


def reading(kind: Any, **how: Any) -> Fault:
    """Trouble with the calls that ask what became of it."""
    return Fault(kind=kind, method="GET", path=r"/prompts", host="api", **how)


def fetching(kind: Any, **how: Any) -> Fault:
    """Trouble with the picture itself."""
    return Fault(kind=kind, host="pictures", **how)


HTML: Final = "<html><body>We will be back soon.</body></html>"

CASES: Final = (
    Case(name="calm", says="nothing goes wrong"),
    Case(
        name="504 after",
        says="the order is carried out and answered with 504",
        faults=(ordering("status", status=504, when="after"),),
    ),
    Case(
        name="504 after, twice",
        says="the same, for the first two orders",
        faults=(ordering("status", status=504, when="after", times=2),),
    ),
    Case(
        name="504 after, lists lag",
        says="the same, and lists show what was made 0.3 s later",
        faults=(ordering("status", status=504, when="after"),),
        options={"list_lag_seconds": 0.3},
    ),
    Case(
        name="504 after, idempotency on",
        says="the same, in an account that merges equal orders",
        faults=(ordering("status", status=504, when="after"),),
        options={"idempotency": True},
    ),
    Case(
        name="504 before",
        says="the order is not carried out and answered with 504",
        faults=(ordering("status", status=504, when="before"),),
    ),
    Case(
        name="502 twice",
        says="two orders are answered with 502 and not carried out",
        faults=(ordering("status", status=502, when="before", times=2),),
    ),
    Case(
        name="500 after",
        says="the order is carried out and answered with 500",
        faults=(ordering("status", status=500, when="after"),),
    ),
    Case(
        name="reset before",
        says="the connection is reset before the order is read",
        faults=(ordering("refuse"),),
    ),
    Case(
        name="reset after",
        says="the order is carried out and the connection ends without a byte",
        faults=(ordering("cut", cut_at=0),),
    ),
    Case(
        name="cut in the answer",
        says="the order is carried out and the answer ends in its middle",
        faults=(ordering("cut", cut_at=400),),
    ),
    Case(
        name="slow answer",
        says="the order is carried out and answered 1.5 s later",
        faults=(ordering("delay", seconds=1.5, when="after"),),
    ),
    Case(
        name="garbage",
        says="the order is carried out and answered with 200 and half an object",
        faults=(ordering("garbage", when="after"),),
    ),
    Case(
        name="429",
        says="the order is not carried out and answered with 429, Retry-After 1",
        faults=(ordering("status", status=429, headers=(("Retry-After", "1"),)),),
    ),
    Case(
        name="429 to questions",
        says="the first two questions what became of it are answered with 429",
        faults=(reading("status", status=429, headers=(("Retry-After", "1"),), times=2),),
    ),
    Case(
        name="killed while ordering",
        says="the client is killed when its order was carried out and not yet answered",
        kill="ordered",
    ),
    Case(
        name="killed while fetching",
        says="the client is killed when its picture is about to come",
        kill="fetching",
    ),
    Case(
        name="picture cut short",
        says="the first download ends in its middle",
        faults=(fetching("cut", cut_at=1500),),
    ),
    Case(
        name="HTML for a picture",
        says="the first download brings a page of HTML with status 200",
        faults=(fetching("status", status=200, body=HTML),),
    ),
    Case(
        name="expired link",
        says="the first download is answered with 403, as an expired link is",
        faults=(fetching("status", status=403),),
    ),
    Case(
        name="503 for a picture",
        says="the first download is answered with 503",
        faults=(fetching("status", status=503),),
    ),
    Case(name="no network at first", says="the service cannot be reached for the first second", late=True),
    Case(name="tune, calm", says="a tune, and nothing goes wrong", makes="tune"),
    Case(
        name="tune, 504 after",
        says="a tune is made and answered with 504",
        makes="tune",
        faults=(ordering("status", "tune", status=504, when="after"),),
    ),
    Case(
        name="tune, reset after",
        says="a tune is made and the connection ends without a byte",
        makes="tune",
        faults=(ordering("cut", "tune", cut_at=0),),
    ),
    Case(
        name="tune, killed",
        says="the client is killed when its tune was made and not yet answered",
        makes="tune",
        kill="ordered",
    ),
)
