"""How the parts may lean on each other, read from the source: who knows which library, how long things are."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "astria_sync"
MODULES = sorted(path.relative_to(TOP).as_posix() for path in PACKAGE.rglob("*.py"))
CORE = [module for module in MODULES if "/core/" in module]
SIMULATOR = [module for module in MODULES if module.startswith("astria_sync/simulator/")]
PACKAGES = {
    module for module in MODULES if module.endswith("/__init__.py")
}  # `from package import part` needs the part
LONGEST_MODULE = 300
LONGEST_FUNCTION = 60

# Library → the modules that know it; all others would have to change if it were exchanged.
KNOWN_TO = {
    "sqlite_utils": {"astria_sync/journal.py", "astria_sync/schema.py", "astria_sync/statefile.py"},
    "httpx": {
        "astria_sync/api.py",
        "astria_sync/connection.py",
        "astria_sync/connections.py",
        "astria_sync/download.py",
    },
    "h11": {"astria_sync/connection.py", "astria_sync/connections.py"},
    "watchdog": {"astria_sync/inotify.py"},
    "apscheduler": {"astria_sync/schedule.py"},
    "ruamel": {"astria_sync/yamlblock.py"},
}
# Parts that have grown past one go and wait to be parted; the list only gets shorter.
OVERLONG: set[str] = set()
# They bring the machine's facts in; everything else is told them.
MAY_ASK_THE_SYSTEM = {"astria_sync/config.py", "astria_sync/service.py", "astria_sync/__main__.py"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((TOP / module).read_text(), filename=module)


@cache
def nodes(module: str) -> list[ast.AST]:
    """All that a module is made of; each rule looks at every module, and walking takes longer than looking."""
    return list(ast.walk(tree(module)))


@cache
def imports(module: str, *, lazy: bool = True) -> list[str]:
    """Every module that is imported, by its whole name; not `lazy`: only what is imported along with it."""
    return list(_imports(module, nodes(module) if lazy else at_import(tree(module).body)))


def _imports(module: str, among: Iterable[ast.AST]) -> Iterator[str]:
    for node in among:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """What runs when a module is imported: everything outside of functions."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from at_import(
                [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            )


def knows(module: str, library: str, *, lazy: bool = True) -> bool:
    return any(name == library or name.startswith(f"{library}.") for name in imports(module, lazy=lazy))


def test_there_are_modules():
    """The rules are tried on something: each kind of module that one is about is there."""
    assert len(CORE) > 10
    assert len(SIMULATOR) > 10
    assert len(MODULES) > 100


def test_the_core_is_pure():
    """`core` needs nothing but the standard library and itself."""
    impure = [
        f"{module} imports {name}"
        for module in CORE
        for name in imports(module)
        if not name.startswith("astria_sync.core") and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert not impure


def test_the_core_does_nothing():
    """`core` opens no file or socket, asks no clock, draws no number, logs nothing."""
    outside = {
        "os",
        "io",
        "socket",
        "random",
        "secrets",
        "logging",
        "time",
        "subprocess",
        "threading",
        "shutil",
        "tempfile",
    }
    doing = {
        "open",
        "print",
        "input",
        "now",
        "today",
        "utcnow",
        "read_text",
        "write_text",
        "exists",
        "stat",
    }
    done = []
    for module in CORE:
        calls = {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for node in nodes(module)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        }
        known = outside & {name.partition(".")[0] for name in imports(module)}
        done += [f"{module}: {what}" for what in sorted(known | calls & doing)]
    assert not done


@pytest.mark.parametrize("library", sorted(KNOWN_TO))
def test_who_knows_a_library(library):
    """Each library stands behind the one module, or the few, that were written around it."""
    found = {module for module in MODULES if module not in SIMULATOR and knows(module, library)}
    assert found <= KNOWN_TO[library]


def test_who_opens_the_state():
    """One module opens the state for writing; a report and a rehearsal read it, or have a copy in memory."""
    for module in MODULES:
        calls = [ast.unparse(node) for node in nodes(module) if isinstance(node, ast.Call)]
        opened = [call for call in calls if call.startswith("sqlite3.connect(")]
        if module == "astria_sync/backup.py":
            opened.remove("sqlite3.connect(part)")  # the copy that it makes
        if module != "astria_sync/statefile.py":
            assert all(re.search(r"\?mode=ro|\?immutable=1|':memory:'", call) for call in opened), module


def test_the_simulator_is_nobodys():
    """Only the command line knows the stand-in, and loads it just when it is asked for."""
    simulator = "astria_sync.simulator"
    for module in MODULES:
        if module in SIMULATOR:
            continue
        assert not knows(module, simulator) or module.startswith("astria_sync/cli/"), module
        assert not knows(module, simulator, lazy=False), module


def test_the_simulator_stands_alone():
    """The stand-in shares no code with what is tested against it: one mistake would pass for two right answers."""
    shared = [
        f"{module} imports {name}"
        for module in SIMULATOR
        for name in imports(module)
        if name.startswith("astria_sync.") and not name.startswith("astria_sync.simulator")
    ]
    assert not shared


def test_who_asks_the_system():
    """Outside the command line, the configuration and the service nothing reads the environment or the arguments."""
    asking = {module for module in MODULES if any(asks_the_system(node) for node in nodes(module))}
    assert {module for module in asking if not module.startswith("astria_sync/cli/")} <= MAY_ASK_THE_SYSTEM


def asks_the_system(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) in {"os.environ", "os.environb", "os.getenv", "sys.argv"}
    if isinstance(node, ast.ImportFrom) and node.module in {"os", "sys"}:
        return bool({alias.name for alias in node.names} & {"environ", "environb", "getenv", "argv"})
    return False


def test_modules_are_read_at_one_go():
    """No module is longer than a reader keeps in mind."""
    lines = {module: len((TOP / module).read_text().splitlines()) for module in MODULES}
    assert not {module: n for module, n in lines.items() if n > LONGEST_MODULE and module not in OVERLONG}


def test_functions_are_read_at_one_look():
    """No function is longer than a screen."""
    overlong = [
        f"{module}:{node.lineno} {node.name}"
        for module in MODULES
        for node in nodes(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= LONGEST_FUNCTION
    ]
    assert not overlong


def test_no_circles():
    """No part needs, while it is imported, one that needs it: any of them can be the first."""
    named = {
        module.removesuffix(".py").removesuffix("/__init__").replace("/", "."): module for module in MODULES
    }
    needs = {
        name: {
            other for other in imports(module, lazy=False) if other in named and named[other] not in PACKAGES
        }
        for name, module in named.items()
    }
    while free := {name for name, others in needs.items() if not others}:
        needs = {name: others - free for name, others in needs.items() if name not in free}
    assert not needs


def test_nothing_is_put_off():
    """What is in the tree is done: no line promises work for later."""
    promise = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".sh", ".service", ".cfg", ""}
    folders = [PACKAGE, TOP / "tests", TOP / "docs", TOP / "systemd"]
    files = [
        file for folder in folders for file in folder.rglob("*") if file.suffix in kinds and file.is_file()
    ]
    files += [file for file in TOP.iterdir() if file.suffix in kinds and file.is_file()]
    told = [
        f"{file.relative_to(TOP)}:{number}"
        for file in files
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if promise.search(line)
    ]
    assert not told
