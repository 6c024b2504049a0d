"""The directive ``ampls-api``: every public name of one room, under the name that users import."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

import pytest_ampls

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

__all__ = ["public_names", "setup"]


def public_names(room: str) -> list[str]:
    """Return the public names that live in a room of the package, sorted."""
    module = import_module(f"pytest_ampls.{room}")
    return sorted(set(module.__all__) & set(pytest_ampls.__all__))


def _markdown(names: list[str]) -> Iterator[str]:
    yield "```{eval-rst}"
    for name in names:
        found = getattr(pytest_ampls, name)
        if inspect.isclass(found):
            yield f".. autoclass:: pytest_ampls.{name}"
            yield "   :members:"
            yield "   :undoc-members:"
            yield "   :show-inheritance:"
        elif inspect.isfunction(found):
            yield f".. autofunction:: pytest_ampls.{name}"
        else:
            yield f".. autodata:: pytest_ampls.{name}"
            yield "   :no-value:"
        yield ""
    yield "```"


class ApiDirective(SphinxDirective):
    """Put the public names of the room that is the argument here."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the documentation of each name."""
        return self.parse_text_to_nodes("\n".join(_markdown(public_names(self.arguments[0]))))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("ampls-api", ApiDirective)
    return {"parallel_read_safe": True}
