"""What goes wrong while one picture is ordered and fetched."""

from dataclasses import dataclass
from typing import Any

from astria_sync.simulator import Fault

PAID = {"method": "POST", "path": r"/prompts$", "host": "api"}
PICTURE = {"host": "pictures", "method": "GET"}
HTML = "<html><body>Please sign in to this network</body></html>"


@dataclass(frozen=True)
class Case:
    """Faults that are in force from the start, the stand-in's options, and whether the client is killed once."""

    name: str
    faults: tuple[Fault, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    killed: bool = False


def _paid(**fault: Any) -> Fault:
    return Fault(**{**PAID, **fault})


def _picture(**fault: Any) -> Fault:
    return Fault(**{**PICTURE, **fault})


CASES = (
    Case("nothing goes wrong"),
    Case("504 after the work was done", (_paid(kind="status", status=504, when="after"),)),
    Case("504 before the work", (_paid(kind="status", status=504, when="before"),)),
    Case("502 twice after the work", (_paid(kind="status", status=502, when="after", times=2),)),
    Case("reset after the work", (_paid(kind="cut", cut_at=0),)),
    Case("cut in the answer's body", (_paid(kind="cut", cut_at=300),)),
    Case("200 and garbage after the work", (_paid(kind="garbage", when="after"),)),
    Case("429 with Retry-After", (_paid(kind="status", status=429, headers=(("Retry-After", "1"),)),)),
    Case(
        "504 after the work, lists lag a second",
        (_paid(kind="status", status=504, when="after"),),
        (("list_lag_seconds", 1.0),),
    ),
    Case("killed when the request is there", (_paid(kind="delay", seconds=1.0, when="after"),), killed=True),
    Case("the picture is cut short", (_picture(kind="cut", cut_at=900),)),
    Case("a web page in the picture's place", (_picture(kind="garbage", body=HTML),)),
    Case("the picture's link has expired once", (_picture(kind="status", status=403),)),
    Case("503 for the picture", (_picture(kind="status", status=503),)),
)
