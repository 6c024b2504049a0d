"""Hooks that users may implement in a ``conftest.py`` or a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from pytest_ampls.arm.cloud import Cloud

__all__ = ["pytest_ampls_credential"]


@pytest.hookspec(firstresult=True)
def pytest_ampls_credential(config: pytest.Config, cloud: Cloud) -> TokenCredential | None:
    """Return the credential that the estate is read with, or None to leave it to others.

    The first answer wins; without one, azure-identity's DefaultAzureCredential is used. Not asked
    with ``--ampls-lab`` and ``--ampls-snapshot``, and only in the process that reads: the controller
    under pytest-xdist.

    Args:
        config: pytest's configuration.
        cloud: the cloud that is signed in to, with its authority and token audience.
    """
