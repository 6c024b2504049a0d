"""Live conformance tests of Azure Monitor Private Link Scope estates.

The public names. They are imported when they are first used, so that a project which has the plugin
installed and does not use it pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_ampls.assertions import *  # noqa: F403  # every rule is public
    from pytest_ampls.catalogue import *  # noqa: F403
    from pytest_ampls.errors import *  # noqa: F403
    from pytest_ampls.fixtures import Judge as Judge
    from pytest_ampls.model import *  # noqa: F403
