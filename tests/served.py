"""The lab in a process of its own, and how the plugin signs in to it as to Azure."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Served = dict[str, Any]


@contextmanager
def serve(folder: Path, spec: str, *options: str) -> Iterator[Served]:
    """Serve a lab estate from a process of its own, and return how to reach it."""
    ready = folder / "lab.json"
    command = [sys.executable, "-m", "pytest_ampls.lab", "serve", spec, "--ready-file", str(ready), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                if ready.exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            connection: Served = json.loads(ready.read_text())
            yield connection
        finally:
            process.terminate()


def place(served: Served) -> list[str]:
    """Return the options that lead to a served lab; which of its subscriptions to judge is not among them."""
    return [
        f"--ampls-arm-endpoint={served['arm_endpoint']}",
        f"--ampls-ca-bundle={served['ca_bundle']}",
        *(f"--ampls-resolver={view['name']}={view['address']}:{view['port']}" for view in served["views"]),
    ]


def sign_in(served: Served, secret: str | None = None) -> dict[str, str]:
    """Return the environment in which azure-identity signs in to a served lab."""
    return {
        "AZURE_TENANT_ID": served["tenant_id"],
        "AZURE_CLIENT_ID": served["client_id"],
        "AZURE_CLIENT_SECRET": secret or served["client_secret"],
        # The default chain, without its last links, which would look for a metadata service off loopback.
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    }
