"""The pictures host: bytes by path, with everything a careful downloader may ask for."""

import re
from dataclasses import replace
from email.utils import formatdate
from urllib.parse import urlsplit

from astria_sync.simulator import pictures, rules
from astria_sync.simulator.ledger import PictureEntry
from astria_sync.simulator.messages import Request, Response, sha256
from astria_sync.simulator.records import Prompt
from astria_sync.simulator.world import World

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".mp4": "video/mp4"}


class PictureHost:
    """Needs no token and takes none; the bytes of a path never change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._small: dict[str, bytes] = {}

    def handle(self, request: Request, now: float, number: int, fault: str | None) -> Response:
        response = self._answer(request, now)
        drawn = self.world.pictures.get(request.path)
        self.world.ledger.note_picture(
            PictureEntry(
                request=number,
                at=now,
                path=request.path,
                prompt_id=drawn[0].id if drawn else None,
                range=request.headers.get("range"),
                status=response.status,
                sent=0 if request.method == "HEAD" else len(response.body),
                authorization="authorization" in request.headers,
                fault=fault,
            )
        )
        return response

    def bytes_of(self, url: str) -> bytes:
        """Give the bytes that belong to a picture's address, whatever its signature; KeyError if there is none."""
        path = urlsplit(url).path
        if path in self.world.uploads:
            return bytes(self.world.uploads[path][0].data)
        prompt, index = self.world.pictures[path]
        params, edge = prompt.params, self.world.options.picture_px
        label = f"{index + 1} of {prompt.num_images} · seed {params.get('seed')} · prompt {prompt.id}"
        words = str(params.get("video_prompt") or params.get("text") or "")
        size = pictures.size(str(params.get("aspect_ratio") or "1:1"), edge)
        return pictures.draw(words, label, size, path.rpartition(".")[2], self._stamps(prompt))

    def _stamps(self, prompt: Prompt) -> tuple[bytes, ...]:
        """Give small copies of the pictures that went into a prompt: its references' first, its input."""
        named = [] if prompt.tune.public else [prompt.tune.id]
        tunes = [self.world.tunes.get(tune_id) for tune_id in named + rules.mentioned(prompt.params)]
        paths = [tune.images[0] for tune in tunes if tune is not None and tune.images]
        paths.append(str(prompt.params.get("input_image")))
        stamps = (self._stamp(path) for path in dict.fromkeys(paths) if path in self.world.uploads)
        return tuple(stamp for stamp in stamps if stamp)[:4]

    def _stamp(self, path: str) -> bytes:
        if path not in self._small:
            self._small[path] = pictures.stamp(self.world.uploads[path][0].data)
        return self._small[path]

    def _answer(self, request: Request, now: float) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return _plain(405, "method not allowed")
        if not self.world.links.valid(request.path, request.query, now):
            return _plain(403, "Request has expired")
        made_at = self._made_at(request.path, now)
        if made_at is None:
            return _plain(404, "no such key")
        body = self.bytes_of(request.path)
        headers = {
            "content-type": self._type(request.path),
            "etag": f'"{sha256(body)[:32]}"',
            "last-modified": formatdate(made_at, usegmt=True),
            "accept-ranges": "bytes",
            "cache-control": "public, max-age=31536000",
        }
        return _ranged(request, body, headers)

    def _type(self, path: str) -> str:
        if path in self.world.uploads:
            return self.world.uploads[path][0].content_type or "application/octet-stream"
        return TYPES["." + path.rpartition(".")[2]]

    def _made_at(self, path: str, now: float) -> float | None:
        """Tell when what lies there was made; None while or after there is nothing."""
        if path in self.world.uploads:
            return self.world.uploads[path][1]
        prompt, index = self.world.pictures.get(path, (None, 0))
        if prompt is None or not prompt.alive(now) or path not in prompt.shown(now):
            return None
        return prompt.shown_at(index)


def _plain(status: int, text: str) -> Response:
    return Response(status=status, headers={"content-type": "text/plain"}, body=text.encode())


def _ranged(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    """Answer whole, in part, or not at all, as the conditional headers ask."""
    asked = request.headers
    if headers["etag"] in asked.get("if-none-match", ""):
        return Response(status=304, headers=headers)
    whole = Response(headers=headers, body=body)
    span = RANGE.fullmatch(asked.get("range", ""))
    fresh = asked.get("if-range", headers["etag"]) in {headers["etag"], headers["last-modified"]}
    if span is None or not fresh or span.groups() == ("", ""):
        return whole
    first, last = _span(span[1], span[2], len(body))
    if first > last or first >= len(body):
        return Response(status=416, headers={"content-range": f"bytes */{len(body)}"})
    where = {"content-range": f"bytes {first}-{last}/{len(body)}"}
    return replace(whole, status=206, headers=headers | where, body=body[first : last + 1])


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)
