"""A single test, to show that the hook of ``conftest.py`` is all that is needed."""

from pytest_ampls import assert_ingestion_access_mode


def test_ingestion_is_private(ampls):
    """Clients of the scope send to members of the scope only."""
    assert_ingestion_access_mode(ampls)
