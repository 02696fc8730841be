"""Id and stamp of the source at each place, in little memory: a daemon has this of every file that was ever seen."""

from collections.abc import Iterator, MutableMapping

Key = tuple[str, str, str]  # root, path, kind


class Known(MutableMapping[Key, tuple[int, str]]):
    """By folder, and there by name; "" is the folder itself. As a plain dictionary it would take three times as much."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._folders: dict[tuple[str, str], dict[str, str]] = {}

    def __getitem__(self, key: Key) -> tuple[int, str]:
        """Id and stamp."""
        folder, name = _place(key)
        source_id, _, stamp = self._folders[folder][name].partition(" ")
        return int(source_id), stamp

    def __contains__(self, key: object) -> bool:
        """Without an exception on the way: of what is new this is asked for each file."""
        folder, name = _place(key)  # type: ignore[arg-type]
        return name in self._folders.get(folder, ())

    def __setitem__(self, key: Key, known: tuple[int, str]) -> None:
        """One text instead of a tuple, a number and a text is less than half."""
        folder, name = _place(key)
        self._folders.setdefault(folder, {})[name] = f"{known[0]} {known[1]}"

    def __delitem__(self, key: Key) -> None:
        """A folder in which nothing is known any more takes no room."""
        folder, name = _place(key)
        del self._folders[folder][name]
        if not self._folders[folder]:
            del self._folders[folder]

    def __iter__(self) -> Iterator[Key]:
        """All places."""
        return (key for folder in self._folders for key in self.inside(folder))

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._folders.values()))

    def clear(self) -> None:
        """At once; what the base class has would list a folder for each place in it."""
        self._folders.clear()

    def folders(self) -> Iterator[tuple[str, str]]:
        """Roots and folders in which, or of which, anything is known."""
        return iter(self._folders)

    def inside(self, folder: tuple[str, str]) -> list[Key]:
        """What a look at this folder shows if it is still there."""
        root, path = folder
        above = "" if path == "." else f"{path}/"
        names = self._folders.get(folder, ())
        return [(root, above + name, "prompt") if name else (root, path, "folder") for name in names]


def folder_of(key: Key) -> tuple[str, str]:
    """Root and folder of which a look shows what lies at this place."""
    return _place(key)[0]


def _place(key: Key) -> tuple[tuple[str, str], str]:
    root, path, kind = key
    if kind == "folder":
        return (root, path), ""
    folder, _, name = path.rpartition("/")
    return (root, folder or "."), name
