"""The syntax of the block on top of a .prompt file: YAML, and what a plain word of it means.

ruamel.yaml reads the syntax; what a plain word means is decided here, by the core schema of YAML 1.2 and nothing more:
`3:4`, `yes`, `1_000` and dates stay text, and a number can still be had as the text it was written as. Nothing is ever
constructed from a tag.
"""

import io
import math
import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from astria_sync.errors import FileProblem
from astria_sync.frontmatter import Scalar, Value

# Aliases can make a small file mean a huge one: values are counted as they are read, not as they are written.
MAX_VALUES = 100_000
MAX_DEPTH = 20
MAX_NODES = 30_000  # as they are written: putting them together is slow, and a matrix has no use for more
MAX_NESTED = 100  # as they are written: each open bracket makes every further one slower to read

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value")}
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
# Python writes and reads integers of at most 4300 decimal digits; 3500 hexadecimal ones are 4215. A longer one stays text.
_INT = re.compile(r"(?:[-+]?[0-9]{1,4000}|0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,3500})\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,400}|[0-9]{1,400}(?:\.[0-9]{0,400})?)(?:[eE][-+]?[0-9]{1,9})?\Z")


def read(block: str, *, name: str, first_line: int) -> dict[str, Value]:
    """The block's keys; `first_line` is where it begins in the file, so that lines are told in the person's numbering."""
    reader = _Reader(lambda node: f"{name}, line {node.start_mark.line + first_line}")
    root = _compose(block, name=name, first_line=first_line)
    if root is None:
        return {}
    if not isinstance(root, MappingNode):
        raise FileProblem(
            f'{reader.where(root)}: the block between the "---" lines must be lines of the form "key: value".'
        )
    values = reader.table(root, 0)
    if reader.problems:
        raise FileProblem(*dict.fromkeys(reader.problems))
    return values


def _compose(block: str, *, name: str, first_line: int) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Frugal
    yaml.composer.warn_double_anchors = False  # legal, and a warning would go past the person
    try:
        node: Node | None = yaml.compose(io.StringIO(block))
    except _TooManyError:
        raise FileProblem(f"{name}: the block on top holds more values than a prompt can need.") from None
    except _TooDeepError:
        raise FileProblem(
            f"{name}, line {first_line}: lists or tables are nested too deeply in the block."
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        what = error.problem or error.context or "it cannot be read"
        raise FileProblem(f"{name}, line {line}: the block on top is not YAML: {what}.") from None
    except Exception as error:  # noqa: BLE001 - the parser trips over nonsense in ways of its own, "\\UFFFFFFFF" for one
        what = str(error).partition("\n")[0]
        raise FileProblem(f"{name}, line {first_line}: the block on top is not YAML: {what}.") from None
    return node


class _TooManyError(Exception):
    """The block is read no further."""


class _TooDeepError(Exception):
    """The block is read no further."""


class _Frugal(Composer):
    """Puts so many nodes together, and no more, and none deeper than that."""

    _left = MAX_NODES
    _depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self._left -= 1
        if self._left < 0:
            raise _TooManyError
        if self._depth > MAX_NESTED:
            raise _TooDeepError
        self._depth += 1
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reader:
    """Turns the parser's nodes into values, collecting problems on the way."""

    def __init__(self, where: Callable[[Node], str]) -> None:
        self.where = where
        self.problems: list[str] = []
        self._left = MAX_VALUES

    def table(self, node: MappingNode, depth: int) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode) or "\n" in key_node.value:
                self.problems.append(
                    f"{self.where(key_node)}: a list, a table or several lines cannot be a key."
                )
                continue
            key = self._text(key_node, str(key_node.value))
            if key in values:
                self.problems.append(
                    f'{self.where(key_node)}: the key "{key}" stands there twice; keep one of them.'
                )
            values[key] = self._value(value_node, depth + 1)
        return values

    def _value(self, node: Node, depth: int) -> Value:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise FileProblem(f"{self.where(node)}: the block holds more values than a prompt can need.")
        if isinstance(node, MappingNode):
            self._refuse_tag(node, {_TAG + "map"})
            return self.table(node, depth)
        if isinstance(node, SequenceNode):
            self._refuse_tag(node, {_TAG + "seq"})
            return [self._value(item, depth + 1) for item in node.value]
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _scalar(self, node: ScalarNode) -> Scalar:
        written = str(node.value)
        if node.style:  # quoted, or a block of lines: text whatever it looks like
            self._refuse_tag(node, {_TAG + "str"})
            text = self._text(node, written)
            return Scalar(text, text)
        self._refuse_tag(node, _PLAIN_TAGS)
        if str(node.tag) == _TAG + "str":
            return Scalar(written, written)
        return Scalar(written, _meaning(written))

    def _refuse_tag(self, node: Node, allowed: set[str]) -> None:
        if str(node.tag) not in allowed:
            self.problems.append(f"{self.where(node)}: the tag {node.tag} is not known here; take it out.")

    def _text(self, node: Node, written: str) -> str:
        """Escapes can write what a text file cannot hold; halves of one character (JSON's way) are put together."""
        try:
            text = written.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            text = "\0"
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
            self.problems.append(
                f"{self.where(node)}: there are characters in this text that no text can hold."
            )
        return text


def _meaning(written: str) -> Any:
    if _NULL.match(written):
        return None
    if _BOOL.match(written):
        return written.lower() == "true"
    if _INT.match(written):
        return int(written, 0) if written[:2] in {"0x", "0o"} else int(written)
    if _FLOAT.match(written):
        number = float(written)
        return number if math.isfinite(number) else written
    return written
