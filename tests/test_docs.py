"""The documents say what the code does."""

import ast
import re
from pathlib import Path

from astria_sync import parameters, tunefile
from tests.diagrams import redrawn
from tests.pictures import drawings, words
from tests.reliability import PAGE, cases, rewritten

ROOT = Path(__file__).parent.parent
DESIGN = (ROOT / "docs" / "design.md").read_text()


def test_the_state_diagrams_are_the_tables():
    """docs/design.md shows the moves that lifecycle.py lists; `make diagrams` draws them anew."""
    assert redrawn(DESIGN) == DESIGN


def test_the_pictures_show_the_live_view():
    """docs/pictures shows what `status --watch` shows, word for word; `make pictures` draws it anew. The drawing itself is rich's."""
    pictures = ROOT / "docs" / "pictures"
    drawn = drawings()
    assert {path.name for path in pictures.iterdir()} == set(drawn)
    for name, drawing in drawn.items():
        kept = (pictures / name).read_text("utf-8")
        assert words(kept) == words(drawing), name
        assert len(kept) < 20_000


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


def test_every_case_that_is_told_has_its_test():
    """Each row of the tables in docs/reliability.md names a test that is there; there are many, and none twice."""
    told = cases(PAGE.read_text())
    there = {
        (file, node.name)
        for file in {file for _, file, _ in told}
        for node in ast.parse((ROOT / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert {(file, name) for _, file, name in told} <= there
    assert len({what for what, _, _ in told}) == len(told) >= 50


def test_the_figures_are_the_tests_own():
    """What docs/reliability.md says of schedules, breakages and campaigns is what the tests have."""
    page = PAGE.read_text()
    assert rewritten(page) == page


def test_astrias_interface_is_covered():
    """Each test that docs/astria.md names exists, and each parameter that the program knows stands there."""
    page = (ROOT / "docs" / "astria.md").read_text()
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page):
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
    told = set(re.findall(r"`([a-z_0-9]+)`", page)) | set(re.findall(r"tune\[(\w+)\]", page))
    assert {*parameters.TYPES, *tunefile.KEYS} <= told


def test_every_link_leads_somewhere():
    """Files that documents name are there, and the headings in them."""
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    headings = {page: _anchors(page.read_text()) for page in documents}
    broken = []
    for page in documents:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            name, _, anchor = target.partition("#")
            place = (page.parent / name).resolve() if name else page
            if "://" not in target and (
                not place.exists() or (anchor and anchor not in headings.get(place, {anchor}))
            ):
                broken.append(f"{page.name}: {target}")
    assert broken == []


def _anchors(text):
    """The names that GitHub gives to headings."""
    lines = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}
