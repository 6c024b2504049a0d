"""What the house style demands and no linter measures."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "pytest_ampls").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

pytestmark = pytest.mark.skipif(not PACKAGE, reason="the sources are in the repository")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(paths: list[Path]) -> Iterator[tuple[str, FunctionNode]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, FunctionNode):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def _lines(node: FunctionNode) -> int:
    """Count the lines of a function without its decorators and its docstring."""
    text = node.body[0] if ast.get_docstring(node) is not None else None
    documented = (text.end_lineno or 0) - text.lineno + 1 if text is not None else 0
    return (node.end_lineno or 0) - node.lineno + 1 - documented


def test_files_are_small() -> None:
    """A file has up to 400 lines; the plugin, which pytest loads in every run, up to 250."""
    sizes = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE}
    limits = {Path("pytest_ampls/plugin.py"): 250}
    assert not {str(path): size for path, size in sizes.items() if size > limits.get(path, 400)}


def test_functions_are_small() -> None:
    """Nine functions of ten have up to 25 lines, and none has more than 60."""
    sizes = {name: _lines(node) for name, node in _functions(PACKAGE)}
    assert not {name: size for name, size in sizes.items() if size > 60}
    assert sorted(sizes.values())[len(sizes) * 9 // 10] <= 25


def test_every_test_says_what_it_holds() -> None:
    """Each test function has a sentence."""
    assert not [
        name
        for name, node in _functions(TESTS)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").strip().endswith((".", "?"))
    ]


def test_nothing_is_patched() -> None:
    """No test takes pytest's monkeypatch or a mock: seams are passed in."""
    assert not [
        name
        for name, node in _functions(TESTS)
        if {argument.arg for argument in node.args.args} & {"monkeypatch", "mocker"}
    ]
