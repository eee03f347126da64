"""Imports point down, never in a circle, and each outside library comes in through its one door (docs/architecture.md)."""

import ast
import functools
import itertools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PACKAGES = ("orchestrator", "trainers", "search_spaces", "reports", "benchmarks")
LONGEST_FILE = 350  # lines
LARGEST_FOLDER = 20  # Python files, __init__.py aside

# Packages and single modules of `orchestrator`, from the ground up.
FLOORS = (
    ("support", "errors", "recipe", "record", "hyperparameters", "own_packages"),
    ("storage", "contracts", "plugins", "plugin_errors", "checked_data", "data_identity", "jobs"),
    ("search", "scheduling", "stopping", "selection", "worker", "executors", "observers", "submission"),
    ("engine",),
    ("sessions",),
    ("cli", "testing"),
)

DOORS = {
    "optuna": [
        "orchestrator/search/",
        "orchestrator/scheduling/",
        "orchestrator/observers/",
        "orchestrator/testing/",
        "search_spaces/",
        "benchmarks/",
    ],
    "wandb": ["orchestrator/observers/", "benchmarks/overhead/usual_script.py"],
    "ray": ["orchestrator/executors/ray_cluster.py"],
    "kaggle": [],
    "pandas": ["reports/", "orchestrator/testing/"],
    "plotly": ["reports/"],
    "torchvision": ["trainers/", "benchmarks/overhead/usual_script.py", "benchmarks/plain_loop.py"],
    "click": ["orchestrator/cli/"],
    "pytest": ["orchestrator/testing/"],
}

NOT_YET = ("kaggle", "plotly")  # doors that are kept for what is not built

# What plug-ins share with each other, and sessions use as well: everything else in these packages is found by its name.
LENT = ("reports.tables", "trainers.preview", "trainers.pretrained.weight_files")


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path) -> set[str]:
    """The names that a file imports when it runs, wherever in the file; what only a type checker reads is left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree(path))
    return found


def floor(module: str) -> int:
    parts = module.split(".")
    if parts[0] == "benchmarks":
        return len(FLOORS) - 1  # like the command line, it uses everything and nothing uses it
    if parts[0] != "orchestrator":
        return 1
    if len(parts) == 1:
        return len(FLOORS) - 1  # the package's own functions are its outermost surface
    for number, names in enumerate(FLOORS):
        if parts[1] in names:
            return number
    raise AssertionError(f"{module} stands on no floor: add its package to FLOORS")


@functools.cache
def inner_imports(module: str) -> set[str]:
    return {name for name in imports(MODULES[module]) if name in MODULES and name != module}


def test_the_floors_list_packages_that_exist() -> None:
    listed = [name for names in FLOORS for name in names]
    there = {path.stem for path in (ROOT / "orchestrator").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert sorted(listed) == sorted(there - {"__init__"})


def edges() -> Iterator[tuple[str, str]]:
    """Every module with each of our own modules that it imports; a package's own front is none."""
    for module in sorted(MODULES):
        for name in sorted(inner_imports(module)):
            if not module.startswith(name + "."):
                yield module, name


def test_imports_point_down_only() -> None:
    assert [
        f"{module} (floor {floor(module)}) imports {name} (floor {floor(name)})"
        for module, name in edges()
        if name not in PACKAGES and floor(name) > floor(module)
    ] == []


def test_rooms_beside_the_floors_know_neither_upper_floors_nor_each_other() -> None:
    strangers = []
    for module, name in edges():
        room, other = module.split(".")[0], name.split(".")[0]
        if room not in ("orchestrator", "benchmarks", other):
            lower = other == "orchestrator" and (floor(name) <= 1 or name == "orchestrator")
            strangers += [] if lower else [f"{module} imports {name}"]
    assert strangers == []


def test_the_core_imports_no_content() -> None:
    """Plans, trainers, data sets, reports and reference systems are found by their names."""
    content = []
    for module, name in edges():
        if module.split(".")[0] == "orchestrator" and name.split(".")[0] != "orchestrator":
            lent = any(f"{name}.".startswith(f"{lent}.") or f"{lent}.".startswith(f"{name}.") for lent in LENT)
            content += [] if lent else [f"{module} imports {name}"]
    assert content == []


# Each hides some errors of the disk, other ones in each version of Python: support/disk_lookups.py asks instead.
HIDING = {
    "exists",
    "glob",
    "is_dir",
    "is_file",
    "is_mount",
    "is_symlink",
    "isdir",
    "isfile",
    "islink",
    "iterdir",
    "lexists",
    "rglob",
}
# Of a directory entry, which raises; of an archive's member; and of a folder that its own process has just made.
MAY_ASK = {
    "trainers.datasets._listing": {"is_symlink"},
    "trainers.datasets._cifar": {"isfile"},
    "orchestrator.executors.ray_worker": {"iterdir"},
}


def test_nobody_asks_the_disk_in_a_way_that_hides_errors() -> None:
    hiding = {}
    for module, path in MODULES.items():
        if not module.startswith(("benchmarks", "orchestrator.testing")):
            calls = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
            asked = {call.attr for call in calls if isinstance(call, ast.Attribute)} & HIDING
            if asked - MAY_ASK.get(module, set()):
                hiding[module] = asked
    assert hiding == {}


def test_commands_to_be_pasted_are_quoted_for_a_shell() -> None:
    """A value in the text of a command is pasted by users: support/shell_words.py quotes it."""
    pasted = []
    for module, path in MODULES.items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.JoinedStr):
                for text, value in itertools.pairwise(node.values):
                    if isinstance(text, ast.Constant) and isinstance(value, ast.FormattedValue):
                        begun = re.search(r"orchestrate [a-z-]+ [^`]*$", str(text.value))
                        if begun and "quoted" not in ast.unparse(value):
                            pasted.append(f"{module}, line {node.lineno}: use shell_words.command")
    assert pasted == []


def test_no_import_circle() -> None:
    graph = {module: {name for name in inner_imports(module) if not module.startswith(name + ".")} for module in MODULES}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for name in sorted(graph[module]):
                walk(name, (*path, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())


def test_packages_import_each_other_in_no_circle() -> None:
    """Also not through different files: a package is understood without those that use it."""
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        package = module.split(".")[1] if module.startswith("orchestrator.") else ""
        if package:
            others = {name.split(".")[1] for name in inner_imports(module) if name.startswith("orchestrator.")}
            graph.setdefault(package, set()).update(others - {package})
    while graph:
        ground = {package for package, others in graph.items() if not others & graph.keys()}
        assert ground, f"a circle among {sorted(graph)}"
        graph = {package: others for package, others in graph.items() if package not in ground}


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_outside_library_has_one_door(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in MODULES.values()
        if any(name == library or name.startswith(library + ".") for name in imports(path))
    }
    strangers = {user for user in users if not any(user.startswith(door) for door in DOORS[library])}
    assert not strangers
    assert users or library in NOT_YET, f"nobody uses {library}: is its door still right?"


def test_files_are_short_and_folders_are_small() -> None:
    files = [path for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {file: length for file, length in lengths.items() if length > LONGEST_FILE} == {}
    folders = Counter(str(path.parent.relative_to(ROOT)) for path in files if path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > LARGEST_FOLDER} == {}


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    heavy = ("torch", "torchvision", "optuna", "wandb", "ray", "pandas", "numpy", "sklearn", "sqlalchemy", "rich")
    program = f"import sys, orchestrator.cli; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
