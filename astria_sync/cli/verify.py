"""`verify`: every recorded picture re-read and compared; with --repair, fetched again."""

import click

from astria_sync.cli.common import (
    Invocation,
    command,
    count,
    json_option,
    pass_invocation,
    say,
    show,
    show_json,
    visible,
)
from astria_sync.cli.orders import give

_AT_ONCE = 1000  # pictures in one order; the daemon's socket takes 64 KiB


@command("verify", "verify --repair")
@click.option(
    "--repair", is_flag=True, help="Fetch again what is missing or damaged, as far as Astria still has it."
)
@json_option
@pass_invocation
def verify(invocation: Invocation, *, repair: bool, as_json: bool) -> int:
    """Read every recorded picture again and compare it with what was saved.

    Pictures that you deleted are told as missing, and --repair fetches them too. A damaged file is kept beside the new one
    under a name that ends in .damaged.
    """
    from astria_sync import verify as pictures

    settings = invocation.settings()
    findings = list(pictures.verify(settings.state))
    bad = [one for one in findings if one.state != pictures.OK]
    if as_json:
        keys = ("state", "why", "prompt", "root", "prompt_id")
        items = [{"file": str(one.file), **{key: getattr(one, key) for key in keys}} for one in bad]
        show_json({"version": 1, "checked": len(findings), "ok": len(findings) - len(bad), "items": items})
    else:
        for one in bad:
            show(f"{one.state:<10}  {visible(one.file)}  {one.why}")
        show(f"{count(len(findings), 'picture')} checked, {len(findings) - len(bad):,} as they were saved.")
    if not bad:
        return 0
    if not repair:
        say("Fetch again what Astria still has: astria-sync verify --repair")
        return 1
    for one in bad:
        if one.state == pictures.DAMAGED:
            one.file.replace(one.file.with_name(one.file.name + ".damaged"))
    mendable = [one.image_id for one in bad if one.state != pictures.UNREADABLE]
    worst = max(
        (
            give(
                invocation,
                "repair",
                {"images": mendable[start : start + _AT_ONCE]},
                as_json=False,
                quiet=as_json,
            )
            for start in range(0, len(mendable), _AT_ONCE)
        ),
        default=0,
    )
    return worst or int(len(mendable) < len(bad))
