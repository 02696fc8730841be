"""The block on top of a .prompt file, as values that remember how they were written. Most prompts have none."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scalar:
    source: str
    value: Any

    @property
    def as_text(self) -> Any:
        """A number as it was written; what is neither a number nor text stays what it is."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return self.source if is_number else self.value


Value = Scalar | list[Any] | dict[str, Any]


def read(block: str, *, name: str, first_line: int) -> dict[str, Value]:
    """The block's keys; `first_line` is where it begins in the file, so that lines are told in the person's numbering."""
    if not block:
        return {}
    from astria_sync import yamlblock  # here: ruamel.yaml takes 2 MiB, and most prompts have no block

    return yamlblock.read(block, name=name, first_line=first_line)


def plain(value: Value, *, text: bool = False) -> Any:
    """Ordinary Python values; with `text`, numbers become the text they were written as."""
    match value:
        case Scalar():
            return value.as_text if text else value.value
        case list():
            return [plain(item, text=text) for item in value]
        case _:
            return {key: plain(item, text=text) for key, item in value.items()}
