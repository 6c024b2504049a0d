"""What the documentation shows is run: tests, commands and files."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import groupby
from pathlib import Path

import pytest

import pytest_ampls.assertions  # noqa: F401  # declares the rules that requirements files name
from pytest_ampls.options import OPTIONS
from pytest_ampls.requirements import load_requirements

from .blocks import PAGES, Block, blocks

pytestmark = pytest.mark.skipif(
    not any(page.parent.name == "docs" for page in PAGES),
    reason="the documentation is in the repository only",
)

LAB = "--ampls-lab=hub-and-spoke"


def _write(folder: Path, shown: list[Block]) -> None:
    """Write the files that one page shows; a page with settings only gets a test that loads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for block in shown:
        (folder / block.file).write_text(block.text, encoding="utf-8")
    if not list(folder.glob("test_*.py")):
        (folder / "test_loads.py").write_text("def test_loads(): pass\n", encoding="utf-8")


def test_python_blocks(pytester: pytest.Pytester) -> None:
    """Every test that is shown passes on the lab, and everything else that is shown can be loaded."""
    for page, shown in groupby(blocks("python"), key=lambda block: block.page):
        _write(pytester.path / re.sub(r"\W", "_", page), list(shown))
    result = pytester.runpytest_subprocess(
        LAB, "--ampls-run-command", "--import-mode=importlib", "-rA", "-p", "no:cacheprovider"
    )
    assert result.ret == pytest.ExitCode.OK
    written = {path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("test_*.py")}
    assert written == {line.split()[1].partition("::")[0] for line in result.outlines if "PASSED " in line}


COMMANDS = [block for block in blocks("console") if re.search(r"^\S*pytest ", block.text, re.MULTILINE)]


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_commands(pytester: pytest.Pytester, block: Block) -> None:
    """Every command that is shown ends with the status that is promised, among the files of its page."""
    _write(pytester.path, [other for other in blocks("python") if other.page == block.page])
    for line in block.text.splitlines():
        program, *arguments = shlex.split(line)
        assert program.rpartition("/")[2] == "pytest", f"{block}: only pytest is run here: {line}"
        result = pytester.runpytest_subprocess(*arguments, "-p", "no:cacheprovider")
        assert result.ret == block.exit, f"{block}: {line}"


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_blocks(tmp_path: Path, block: Block) -> None:
    """Requirements files are accepted as they are shown, and settings are settings that exist."""
    path = tmp_path / block.file
    path.write_text(block.text, encoding="utf-8")
    if block.file == "ampls.toml":
        assert load_requirements(path).path == path
    else:
        settings = tomllib.loads(block.text)["tool"]["pytest"]["ini_options"]
        assert set(settings) <= {option.ini for option in OPTIONS}


def test_blocks_of_every_kind_are_found() -> None:
    """The tests above look at something."""
    assert len(blocks("python")) > 5
    assert len(COMMANDS) > 3
    assert {block.file for block in blocks("toml")} == {"ampls.toml", "pyproject.toml"}
