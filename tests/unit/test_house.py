"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "sbatch_shim"
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_conditional_expression_stands_in_another(module: Path) -> None:
    found = [
        node.lineno
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.IfExp)
        and any(isinstance(inner, ast.IfExp) for child in ast.iter_child_nodes(node) for inner in ast.walk(child))
    ]
    assert not found


# An if, a default in front of one, or a small function says the same with less in one line.
MOST_CONDITIONAL_EXPRESSIONS = 15  # per 1,000 lines of the package


def test_conditional_expressions_are_few() -> None:
    sources = [module.read_text() for module in MODULES]
    found = sum(isinstance(node, ast.IfExp) for source in sources for node in ast.walk(ast.parse(source)))
    lines = sum(len(source.splitlines()) for source in sources)
    assert 1000 * found / lines < MOST_CONDITIONAL_EXPRESSIONS


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_booleans_are_keyword_only(module: Path) -> None:
    """But for callbacks that take nothing else."""
    found = [
        f"{function.name}({argument.arg})"
        for function in ast.walk(ast.parse(module.read_text()))
        if isinstance(function, ast.FunctionDef) and len(function.args.args) > 1
        for argument in function.args.args
        if argument.annotation is not None and ast.unparse(argument.annotation).strip("'\"") == "bool"
    ]
    assert not found


def imports_of(module: Path) -> set[str]:
    """The modules of the package that a module imports while it is imported itself."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sbatch_shim"):
            found.add(node.module or "")
            found |= {f"{node.module}.{one.name}" for one in node.names}
    return found


def name_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_imports_run_in_a_circle() -> None:
    graph = {name_of(module): imports_of(module) for module in MODULES}
    graph = {name: {one for one in wanted if one in graph and one != name} for name, wanted in graph.items()}
    while True:
        free = [name for name, wanted in graph.items() if not wanted & graph.keys()]
        if not free:
            break
        for name in free:
            del graph[name]
    assert not graph


def test_the_architecture_names_each_module_and_no_other() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text()
    rooms = text[text.index("## The rooms") : text.index("## The launcher")]
    told = set(re.findall(r"\b[a-z_]+\.py\b", rooms))
    assert told - {"__init__.py"} == {module.name for module in MODULES} - {"__init__.py"}


# Each room uses those before it.
ROOMS = ("", "clerk", "state", "merge", "flush", "companions", "verbs", "setup")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_a_later_one(module: Path) -> None:
    def room(name: str) -> int:
        parts = name.split(".")
        return ROOMS.index(parts[1]) if len(parts) > 1 and parts[1] in ROOMS else 0

    own = room(name_of(module))
    assert not [name for name in imports_of(module) if room(name) > own]
