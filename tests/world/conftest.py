"""One world for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.world.world import World, missing


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The healthy world; what a test changes, it changes back."""
    lacking = missing()
    if lacking is not None:
        pytest.skip(f"the world of namespaces: {lacking}")
    with World(tmp_path_factory.mktemp("world")) as built:
        yield built
