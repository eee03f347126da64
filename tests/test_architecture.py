"""Imports point down, never in a circle, and each outside library comes in through its one door (docs/decisions.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("orchestrator", "trainers", "search_spaces", "reports", "benchmarks")

FLOORS = {
    0: [
        "errors",
        "plain",
        "seeds",
        "recipe",
        "record",
        "settings",
        "files",
        "passwords",
        "crash_points",
        "points",
        "limits",
        "durations",
        "noise",
    ],
    1: [
        "jobs",
        "contracts",
        "plugins",
        "store",
        "messages",
        "machine",
        "gpu_memory",
        "placement",
        "checkpoint",
        "hyperparameters",
        "splits",
        "out_of_distribution",
    ],
    2: [
        "search",
        "failures",
        "chance",
        "remedies",
        "health",
        "watchdog",
        "scheduling",
        "promotion",
        "worker",
        "executors",
        "observers",
        "submission",
        "loading",
        "tables",
        "state",
        "storage_url",
        "fetching",
        "endings",
        "budget",
        "expectations",
        "enqueued",
        "sharing",
    ],
    3: ["dispatch"],
    4: [
        "plan_checks",
        "opening",
        "staff",
        "conductor",
        "conducting",
        "alone",
        "retrain",
        "retraining",
        "recipes",
        "training",
        "submitting",
        "mirroring",
        "enqueueing",
        "limiting",
        "rehearsal",
        "previewing",
    ],
    5: ["cli"],
}

DOORS = {
    "optuna": ["orchestrator/search/", "orchestrator/observers/optuna.py", "search_spaces/", "benchmarks/"],
    "wandb": ["orchestrator/observers/wandb.py", "benchmarks/overhead/usual_script.py"],
    "ray": ["orchestrator/executors/_ray_cluster.py"],
    "kaggle": [],
    "pandas": ["reports/"],
    "plotly": ["reports/"],
    "torchvision": ["trainers/", "benchmarks/overhead/usual_script.py", "benchmarks/plain_loop.py"],
    "click": ["orchestrator/cli/"],
}

NOT_YET = ("kaggle", "plotly")  # doors that are kept for what is not built


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


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

    visit(ast.parse(path.read_text()))
    return found


def floor(module: str) -> int:
    parts = module.split(".")
    if parts[0] == "benchmarks":
        return 5  # like the command line, it uses everything and nothing uses it
    if parts[0] != "orchestrator":
        return 1
    if len(parts) == 1:
        return 5  # the package's own functions are its outermost surface
    for number, names in FLOORS.items():
        if parts[1] in names:
            return number
    raise AssertionError(f"{module} stands on no floor: add it to FLOORS")


def inner_imports(module: str) -> set[str]:
    return {name for name in imports(MODULES[module]) if name in MODULES and name != module}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down_only(module: str) -> None:
    for name in inner_imports(module) - set(PACKAGES):
        if module.startswith(name + "."):
            continue  # a package's own front
        assert floor(name) <= floor(module), f"{module} (floor {floor(module)}) imports {name} (floor {floor(name)})"


@pytest.mark.parametrize("module", sorted(module for module in MODULES if not module.startswith(("orchestrator", "benchmarks"))))
def test_rooms_beside_the_floors_know_neither_upper_floors_nor_each_other(module: str) -> None:
    room = module.split(".", maxsplit=1)[0]
    for name in inner_imports(module):
        other = name.split(".")[0]
        assert other in (room, "orchestrator"), f"{module} imports {name}"
        assert other == room or floor(name) <= 1 or name == "orchestrator", f"{module} imports {name}"


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


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    heavy = ("torch", "torchvision", "optuna", "wandb", "ray", "pandas", "numpy", "sklearn", "sqlalchemy", "rich")
    program = f"import sys, orchestrator.cli; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
