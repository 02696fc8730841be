"""A file system as on a memory card, in memory, served over /dev/fuse: names regardless of case, no links, times of two seconds.

Enough of the protocol (linux/fuse.h, 7.31) for what a program does that writes and renames files; mounts.py mounts it and runs
`python -m tests.crashes.card FD`.
"""

import errno
import os
import stat
import struct
import sys
import time
from collections.abc import Callable

_FORBIDDEN = set('"*/:<>?\\|') | {chr(code) for code in range(32)}
_BUFFER = 1 << 17
_SIZES = (1 << 30) // 4096  # blocks that are free
_ROOT = 1


class _Node:
    """A file or a folder."""

    def __init__(self, number: int, *, folder: bool) -> None:
        self.number, self.folder = number, folder
        self.data = bytearray()
        self.names: dict[str, tuple[str, _Node]] = {}  # folded → as it was given
        self.touch()

    def touch(self, at: float | None = None) -> None:
        self.mtime = int(time.time() if at is None else at) // 2 * 2

    def attributes(self) -> bytes:
        mode, size = (stat.S_IFDIR | 0o755, 4096) if self.folder else (stat.S_IFREG | 0o755, len(self.data))
        times = (self.mtime, self.mtime, self.mtime, 0, 0, 0)
        numbers = (self.number, size, size // 512 + 1, *times, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)
        return struct.pack("=6Q10I", *numbers)


class _Refused(Exception):
    def __init__(self, number: int) -> None:
        self.number = number


def _folded(raw: bytes) -> tuple[str, str]:
    """How a name is found, and how it is shown: FAT drops dots and blanks at the end."""
    try:
        shown = raw.decode().rstrip(". ")
    except UnicodeDecodeError:
        raise _Refused(errno.EINVAL) from None
    if not shown or _FORBIDDEN & {*shown}:
        raise _Refused(errno.EINVAL)
    if len(shown.encode("utf-16-le")) > 2 * 255:
        raise _Refused(errno.ENAMETOOLONG)
    return shown.casefold(), shown


class _Server:
    """Answers the kernel, one request after the other."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._nodes = {_ROOT: _Node(_ROOT, folder=True)}
        self._calls: dict[int, Callable[[_Node, bytes], bytes]] = {
            1: self._lookup, 3: self._getattr, 4: self._setattr, 9: self._mkdir, 10: self._unlink, 11: self._rmdir,
            12: self._rename, 14: self._open, 15: self._read, 16: self._write, 17: self._statfs, 18: self._nothing,
            20: self._nothing, 25: self._nothing, 26: self._init, 27: self._open, 28: self._readdir, 29: self._nothing,
            30: self._nothing, 35: self._create, 45: self._rename2,
        }  # fmt: skip

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._fd, _BUFFER + 4096)
            except OSError as error:
                if error.errno in {errno.EINTR, errno.ENOENT, errno.EAGAIN}:
                    continue
                return  # it was unmounted
            _, what, unique, number = struct.unpack_from("=IIQQ", request)
            if what in {2, 36, 42}:  # forget, interrupt, forget many: these get no answer
                continue
            answer, refused = self._answer(what, self._nodes.get(number, self._nodes[_ROOT]), request[40:])
            os.write(self._fd, struct.pack("=IiQ", 16 + len(answer), -refused, unique) + answer)

    def _answer(self, what: int, node: _Node, body: bytes) -> tuple[bytes, int]:
        if what not in self._calls:
            # No links of either kind; extended attributes and the like it never heard of.
            return b"", errno.EPERM if what in {6, 13} else errno.ENOSYS
        try:
            return self._calls[what](node, body), 0
        except _Refused as refusal:
            return b"", refusal.number

    def _entry(self, node: _Node) -> bytes:
        return struct.pack("=4Q2I", node.number, 0, 0, 0, 0, 0) + node.attributes()

    def _find(self, folder: _Node, raw: bytes) -> _Node:
        found = folder.names.get(_folded(raw)[0])
        if found is None:
            raise _Refused(errno.ENOENT)
        return found[1]

    def _add(self, folder: _Node, raw: bytes, *, is_folder: bool) -> _Node:
        folded, shown = _folded(raw)
        if folded in folder.names:
            raise _Refused(errno.EEXIST)
        node = _Node(max(self._nodes) + 1, folder=is_folder)
        self._nodes[node.number] = node
        folder.names[folded] = shown, node
        folder.touch()
        return node

    def _init(self, _: _Node, body: bytes) -> bytes:
        ahead = struct.unpack_from("=4I", body)[2]
        return struct.pack("=4I2H2I2H8I", 7, 31, ahead, 0, 12, 10, _BUFFER, 1, 0, 0, *[0] * 8)

    def _nothing(self, _: _Node, __: bytes) -> bytes:
        return b""

    def _lookup(self, folder: _Node, body: bytes) -> bytes:
        return self._entry(self._find(folder, body[:-1]))

    def _getattr(self, node: _Node, _: bytes) -> bytes:
        return struct.pack("=Q2I", 0, 0, 0) + node.attributes()

    def _setattr(self, node: _Node, body: bytes) -> bytes:
        valid, _, _, size, _, _, mtime = struct.unpack_from("=2I5Q", body)
        if valid & 8:
            del node.data[size:]
            node.data.extend(bytes(size - len(node.data)))
        if valid & (8 | 32 | 256):
            node.touch(mtime if valid & 32 and not valid & 256 else None)
        return self._getattr(node, b"")  # rights and owners cannot be changed, which FAT keeps to itself

    def _mkdir(self, folder: _Node, body: bytes) -> bytes:
        return self._entry(self._add(folder, body[8:-1], is_folder=True))

    def _create(self, folder: _Node, body: bytes) -> bytes:
        raw = body[16:-1]
        folded = _folded(raw)[0]
        node = folder.names[folded][1] if folded in folder.names else self._add(folder, raw, is_folder=False)
        return self._entry(node) + self._open(node, b"")

    def _unlink(self, folder: _Node, body: bytes) -> bytes:
        self._find(folder, body[:-1])
        del folder.names[_folded(body[:-1])[0]]
        folder.touch()
        return b""

    def _rmdir(self, folder: _Node, body: bytes) -> bytes:
        if self._find(folder, body[:-1]).names:
            raise _Refused(errno.ENOTEMPTY)
        return self._unlink(folder, body)

    def _rename(self, folder: _Node, body: bytes) -> bytes:
        return self._move(folder, body[:8], body[8:])

    def _rename2(self, folder: _Node, body: bytes) -> bytes:
        if struct.unpack_from("=I", body, 8)[0]:
            raise _Refused(errno.EINVAL)
        return self._move(folder, body[:8], body[16:])

    def _move(self, folder: _Node, to: bytes, names: bytes) -> bytes:
        old, new = names[:-1].split(b"\0")
        node, other = self._find(folder, old), self._nodes[struct.unpack("=Q", to)[0]]
        folded, shown = _folded(new)
        del folder.names[_folded(old)[0]]
        other.names[folded] = shown, node
        folder.touch()
        other.touch()
        return b""

    def _open(self, _: _Node, __: bytes) -> bytes:
        return struct.pack("=Q2I", 0, 0, 0)

    def _read(self, node: _Node, body: bytes) -> bytes:
        _, at, size = struct.unpack_from("=2QI", body)
        return bytes(node.data[at : at + size])

    def _write(self, node: _Node, body: bytes) -> bytes:
        _, at, size = struct.unpack_from("=2QI", body)
        node.data.extend(bytes(max(0, at - len(node.data))))
        node.data[at : at + size] = body[40 : 40 + size]
        node.touch()
        return struct.pack("=2I", size, 0)

    def _statfs(self, _: _Node, __: bytes) -> bytes:
        return struct.pack("=5Q10I", _SIZES, _SIZES, _SIZES, 0, 0, 4096, 255, 4096, *[0] * 7)

    def _readdir(self, folder: _Node, body: bytes) -> bytes:
        _, at, size = struct.unpack_from("=2QI", body)
        out = b""
        for place, (shown, node) in enumerate([*folder.names.values()][at:], at + 1):
            raw = shown.encode()
            kind = stat.S_IFMT(stat.S_IFDIR if node.folder else stat.S_IFREG) >> 12
            entry = struct.pack("=2Q2I", node.number, place, len(raw), kind) + raw
            entry += bytes(-len(entry) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        return out


if __name__ == "__main__":
    _Server(int(sys.argv[1])).serve()
