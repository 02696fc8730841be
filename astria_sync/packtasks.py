"""What a thread does about packs, as tasks.py has the rest."""

from urllib.parse import quote

from astria_sync.api import Api
from astria_sync.core import packwork
from astria_sync.core.pace import PAGE
from astria_sync.core.packwire import read_slugs
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read


def run_pack(api: Api, piece: packwork.RunPack) -> Answer | NoAnswer:
    """Run a pack on a tune that is there."""
    return api.send("POST", f"{pack_path(piece.pack)}/tunes", piece.fields, workspace=piece.workspace)


def find_pack(api: Api, piece: packwork.FindPack) -> packwork.PackFound:
    """Ask what a pack is; if there is none of that name, which there are."""
    found = api.get(pack_path(piece.pack), workspace=piece.workspace)
    others: list[str] = []
    if judge_read(found) is Verdict.GONE:
        for path in ("/packs", "/gallery/packs"):
            listed = api.get(path, workspace=piece.workspace, limit=PAGE)
            others += read_slugs(listed.body) if isinstance(listed, Answer) else ()
    return packwork.PackFound(result=found, others=tuple(others))


def pack_path(pack: str) -> str:
    """The address of a pack; a slug is whatever a person wrote."""
    return f"/p/{quote(pack, safe='')}"
