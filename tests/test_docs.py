"""The documents say what the code does."""

import re
from pathlib import Path

from tests.diagrams import redrawn

ROOT = Path(__file__).parent.parent
DESIGN = (ROOT / "docs" / "design.md").read_text()


def test_the_state_diagrams_are_the_tables():
    """docs/design.md shows the moves that lifecycle.py lists; `make diagrams` draws them anew."""
    assert redrawn(DESIGN) == DESIGN


def test_the_map_names_every_module_and_no_other():
    """Each module of the package is in the map, and what the map names exists."""
    package = ROOT / "astria_sync"
    there = {path.name for path in [*package.glob("*.py"), *(package / "core").glob("*.py")]}
    there -= {"__init__.py", "__main__.py"}
    the_map = DESIGN[DESIGN.index("## The map") : DESIGN.index("### To change X")]
    named = {name.rpartition("/")[2] for name in re.findall(r"`([a-z_/]+\.py)`", the_map)}
    assert named == there


def test_dependencies_have_a_reason():
    """Every package that is installed with astria-sync stands in the table of dependencies."""
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert block
    names = re.findall(r'"([a-z.-]+?)[><=]', block[1])
    table = DESIGN[DESIGN.index("## Dependencies") : DESIGN.index("## Measured")].lower()
    assert [name for name in names if name not in table] == []
