"""The live path, against the lab in a process of its own: real sign-in, custom endpoint, CA bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import run_pytest

SUITE = ("--pyargs", "pytest_ampls.conformance")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Serve the lab from a process of its own, and return how to reach it."""
    ready = tmp_path_factory.mktemp("served") / "lab.json"
    command = [sys.executable, "-m", "pytest_ampls.lab", "serve", "hub-and-spoke", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                if ready.exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            connection: dict[str, Any] = json.loads(ready.read_text())
            yield connection
        finally:
            process.terminate()


def _options(served: dict[str, Any]) -> list[str]:
    return [
        *(f"--ampls-subscription={subscription}" for subscription in served["subscriptions"]),
        f"--ampls-arm-endpoint={served['arm_endpoint']}",
        f"--ampls-ca-bundle={served['ca_bundle']}",
        *(f"--ampls-resolver={view['name']}={view['address']}:{view['port']}" for view in served["views"]),
    ]


def _environment(served: dict[str, Any], secret: str | None = None) -> dict[str, str]:
    return {
        "AZURE_TENANT_ID": served["tenant_id"],
        "AZURE_CLIENT_ID": served["client_id"],
        "AZURE_CLIENT_SECRET": secret or served["client_secret"],
        # The default chain, without its last links, which would look for a metadata service off loopback.
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    }


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_subscription_is_judged(tmp_path: Path, served: dict[str, Any], workers: str) -> None:
    """azure-identity's default credential, the custom endpoint and the CA bundle lead to a green run."""
    result = run_pytest(tmp_path, *SUITE, *_options(served), f"-n{workers}", **_environment(served))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"ampls: subscription {served['subscriptions'][0]} (from --ampls-subscription)" in result.stdout
    assert "0 broken, 0 unverified" in result.stdout
    assert served["client_secret"] not in result.stdout + result.stderr


def test_all_subscriptions_that_the_identity_sees(tmp_path: Path, served: dict[str, Any]) -> None:
    """A subscription that does not exist beside one that does: the one is judged, the other is an error."""
    missing = "11111111-2222-3333-4444-555555555555"
    options = [*_options(served), f"--ampls-subscription={missing}"]
    result = run_pytest(tmp_path, *SUITE, *options, **_environment(served))
    assert result.returncode == 1
    assert missing in result.stdout
    assert " failed" not in result.stdout.splitlines()[-1]
    assert "Traceback" not in result.stdout


def test_a_subscription_that_does_not_exist(tmp_path: Path, served: dict[str, Any]) -> None:
    """On its own it is a usage error that names it."""
    missing = "11111111-2222-3333-4444-555555555555"
    options = [f"--ampls-subscription={missing}", *_options(served)[1:]]
    result = run_pytest(tmp_path, *SUITE, *options, **_environment(served))
    assert result.returncode == 4
    assert missing in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_secret(tmp_path: Path, served: dict[str, Any]) -> None:
    """A refused sign-in is one usage error, and the secret is nowhere in it."""
    secret = "not-the-secret-of-this-lab"
    result = run_pytest(tmp_path, *SUITE, *_options(served), **_environment(served, secret))
    assert result.returncode == 4
    assert "the estate cannot be read" in result.stderr
    assert secret not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_no_credential_at_all(tmp_path: Path, served: dict[str, Any]) -> None:
    """Without anything to sign in with, one usage error says what to do."""
    environment = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    result = run_pytest(tmp_path, *SUITE, *_options(served), **environment)
    assert result.returncode == 4
    assert "the estate cannot be read" in result.stderr
    assert "az login" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_server_is_not_trusted(tmp_path: Path, served: dict[str, Any]) -> None:
    """Without the CA bundle the certificate is refused, and the message says what to give."""
    options = [option for option in _options(served) if "ca-bundle" not in option]
    result = run_pytest(tmp_path, *SUITE, *options, **_environment(served))
    assert result.returncode == 4
    assert "CA bundle" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig (package dnsutils)")
def test_dig_gets_the_answer_that_the_suite_judges(served: dict[str, Any]) -> None:
    """An unmodified client asks a view, and gets the private address."""
    view = served["views"][0]
    command = ["dig", f"@{view['address']}", "-p", str(view["port"]), "api.monitor.azure.com", "+short"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert answer.stdout.splitlines() == ["api.privatelink.monitor.azure.com.", "192.168.0.71"]
