"""The live path, against the lab in a process of its own: real sign-in, custom endpoint, CA bundle."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.conftest import run_pytest
from tests.served import Served, place, serve, sign_in

SUITE = ("--pyargs", "pytest_ampls.conformance")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the lab from a process of its own, and return how to reach it."""
    with serve(tmp_path_factory.mktemp("served"), "hub-and-spoke") as connection:
        yield connection


def _options(served: Served) -> list[str]:
    return [
        *(f"--ampls-subscription={subscription}" for subscription in served["subscriptions"]),
        *place(served),
    ]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_subscription_is_judged(tmp_path: Path, served: Served, workers: str) -> None:
    """azure-identity's default credential, the custom endpoint and the CA bundle lead to a green run."""
    result = run_pytest(tmp_path, *SUITE, *_options(served), f"-n{workers}", **sign_in(served))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"ampls: subscription {served['subscriptions'][0]} (from --ampls-subscription)" in result.stdout
    assert "0 broken, 0 unverified" in result.stdout
    assert served["client_secret"] not in result.stdout + result.stderr


def test_all_subscriptions_that_the_identity_sees(tmp_path: Path, served: Served) -> None:
    """A subscription that does not exist beside one that does: the one is judged, the other is an error."""
    missing = "11111111-2222-3333-4444-555555555555"
    options = [*_options(served), f"--ampls-subscription={missing}"]
    result = run_pytest(tmp_path, *SUITE, *options, **sign_in(served))
    assert result.returncode == 1
    assert missing in result.stdout
    assert " failed" not in result.stdout.splitlines()[-1]
    assert "Traceback" not in result.stdout


def test_a_subscription_that_does_not_exist(tmp_path: Path, served: Served) -> None:
    """On its own it is a usage error that names it."""
    missing = "11111111-2222-3333-4444-555555555555"
    options = [f"--ampls-subscription={missing}", *_options(served)[1:]]
    result = run_pytest(tmp_path, *SUITE, *options, **sign_in(served))
    assert result.returncode == 4
    assert missing in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_secret(tmp_path: Path, served: Served) -> None:
    """A refused sign-in is one usage error, and the secret is nowhere in it."""
    secret = "not-the-secret-of-this-lab"
    result = run_pytest(tmp_path, *SUITE, *_options(served), **sign_in(served, secret))
    assert result.returncode == 4
    assert "the estate cannot be read" in result.stderr
    assert secret not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_no_credential_at_all(tmp_path: Path, served: Served) -> None:
    """Without anything to sign in with, one usage error says what to do."""
    environment = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    result = run_pytest(tmp_path, *SUITE, *_options(served), **environment)
    assert result.returncode == 4
    assert "the estate cannot be read" in result.stderr
    assert "az login" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_server_is_not_trusted(tmp_path: Path, served: Served) -> None:
    """Without the CA bundle the certificate is refused, and the message says what to give."""
    options = [option for option in _options(served) if "ca-bundle" not in option]
    result = run_pytest(tmp_path, *SUITE, *options, **sign_in(served))
    assert result.returncode == 4
    assert "CA bundle" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig (package dnsutils)")
def test_dig_gets_the_answer_that_the_suite_judges(served: Served) -> None:
    """An unmodified client asks a view, and gets the private address."""
    view = served["views"][0]
    command = ["dig", f"@{view['address']}", "-p", str(view["port"]), "api.monitor.azure.com", "+short"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert answer.stdout.splitlines() == ["api.privatelink.monitor.azure.com.", "192.168.0.71"]
