"""The directives ``ampls-options``, ``ampls-estates`` and ``ampls-faults``: tables read from the code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from pytest_ampls import lab
from pytest_ampls.options import OPTIONS

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

__all__ = ["estates_markdown", "faults_markdown", "options_markdown", "setup"]


def options_markdown() -> str:
    """Return a table of every option with its ini value, its environment variable and its default."""
    rows = (
        (
            f"`{option.flag}`" if option.switch else f"`{option.flag}={option.metavar}`",
            f"`{option.ini}`",
            f"`{option.env}`",
            option.help + (f" (default: `{option.default}`)" if option.default else ""),
        )
        for option in OPTIONS
    )
    return _table(("option", "ini", "environment", "what it does"), rows)


def estates_markdown() -> str:
    """Return a table of the estates of the lab."""
    return _table(("estate", "what it is"), ((f"`{name}`", text) for name, text in lab.estates().items()))


def faults_markdown() -> str:
    """Return a table of the faults of the lab, with the rules that each must turn red."""
    rows = (
        (
            f"`{fault.name}{'=' + fault.argument if fault.argument else ''}`",
            fault.kind,
            fault.title,
            ", ".join((*fault.breaks, *map(_expectation, fault.expects))) or _none(fault.excuses),
        )
        for fault in lab.faults().values()
    )
    return _table(("fault", "kind", "what it does", "rules that turn red"), rows)


def _none(excuses: tuple[str, ...]) -> str:
    return f"none; {', '.join(excuses)} do not apply to the machine" if excuses else "none"


def _expectation(expected: tuple[str, str, str]) -> str:
    rule, keyword, value = expected
    return f'where the requirements for {rule} say `{keyword} = "{value}"`'


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_lines(header, rows))


def _lines(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _directive(text: Callable[[], str]) -> type[SphinxDirective]:
    class TableDirective(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(text())

    return TableDirective


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("ampls-options", _directive(options_markdown))
    app.add_directive("ampls-estates", _directive(estates_markdown))
    app.add_directive("ampls-faults", _directive(faults_markdown))
    return {"parallel_read_safe": True}
