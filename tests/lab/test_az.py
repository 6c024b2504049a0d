"""The Azure CLI, unmodified, against the lab: as the lab prints it, and as a failure prints it.

``az`` comes from PyPI in the merge gate; on a machine that has none these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_ampls.lab import Lab
from pytest_ampls.lab.command import describe
from tests.plugin.conftest import run_pytest
from tests.traffic import elsewhere, watch

AZ = os.environ.get("AMPLS_AZ") or shutil.which("az") or ""
GROUP = ("--resource-group", "amplstest")
NO_PROXY_THERE = ("127.0.0.1", 9)
EVIDENCE = re.compile(r"^    evidence  (az rest .+)$", re.MULTILINE)

pytestmark = [
    pytest.mark.skipif(
        not AZ, reason="needs az (package azure-cli): it is not on PATH, and AMPLS_AZ does not name it"
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="what the lab prints is for a POSIX shell"),
]


class SignedIn(NamedTuple):
    """A lab, the environment of a shell in which what it printed was run, and a record of the traffic."""

    lab: Lab
    environment: Mapping[str, str]
    traffic: Path

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line in that shell."""
        return subprocess.run(
            ["sh", "-euc", line],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def read(self, *arguments: str) -> Any:
        """Run ``az`` and return the JSON that it prints."""
        done = self.shell(" ".join(["az", *arguments, "--output", "json"]))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _printed(lab: Lab) -> list[str]:
    """Return the lines for ``az`` that the lab prints: the variables, and the commands that sign in."""
    return [line for line in describe(lab).splitlines() if line.startswith(("export ", "az "))]


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedIn]:
    """Run what the lab prints, as it is printed, for an estate in which one association is missing."""
    assert Path(AZ).is_file(), f"AMPLS_AZ={AZ}: there is no such file"
    folder = tmp_path_factory.mktemp("az")
    log, watched = watch(folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "az").symlink_to(Path(AZ).absolute())
    own = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        # An unknown command would otherwise be looked for in an index on the internet.
        "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
        # A new configuration asks for the latest version of az, and no setting stops that. With a proxy that
        # is not there even the name is never looked up; the lab is asked without one.
        "HTTPS_PROXY": "http://{}:{}".format(*NO_PROXY_THERE),
        "HTTP_PROXY": "http://{}:{}".format(*NO_PROXY_THERE),
        "NO_PROXY": "127.0.0.1",
        **watched,
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "COV")) and not name.lower().endswith("_proxy")
    }
    with Lab.from_spec("hub-and-spoke+missing-config-endpoint") as lab:
        shell = SignedIn(lab, {**inherited, **own}, log)
        done = shell.shell("\n".join([*_printed(lab), 'env -0 > "$HOME/environment"']))
        assert done.returncode == 0, done.stdout + done.stderr
        exported = (folder / "environment").read_text(encoding="utf-8").rstrip("\0").split("\0")
        yield shell._replace(environment=dict(entry.split("=", 1) for entry in exported))


def test_what_the_lab_prints_signs_in(signed_in: SignedIn) -> None:
    """The printed lines register the cloud and sign in, and the lab's subscription is the one in use."""
    account = signed_in.read("account", "show")
    assert (account["id"],) == signed_in.lab.subscriptions
    assert account["environmentName"] == "ampls-lab"
    assert account["user"]["type"] == "servicePrincipal"


def test_machines_are_listed(signed_in: SignedIn) -> None:
    """``az vm list`` has the machines of every network."""
    names = {machine["name"] for machine in signed_in.read("vm", "list")}
    assert names >= {"hub", "spoke1", "spoke2", "spoke3", "spoke4"}


def test_scoped_resources_are_listed(signed_in: SignedIn) -> None:
    """``az monitor private-link-scope scoped-resource list`` has workspace, component and endpoint."""
    found = signed_in.read(
        "monitor", "private-link-scope", "scoped-resource", "list", *GROUP, "--scope-name", "ampls"
    )
    kinds = {entry["linkedResourceId"].split("/")[-2].lower() for entry in found}
    assert kinds == {"workspaces", "components", "datacollectionendpoints"}


def test_record_sets_are_listed(signed_in: SignedIn) -> None:
    """``az network private-dns record-set a list`` has the record that the endpoint wrote."""
    zone = "privatelink.ods.opinsights.azure.com"
    (record,) = signed_in.read(
        "network", "private-dns", "record-set", "a", "list", *GROUP, "--zone-name", zone
    )
    assert [entry["ipv4Address"] for entry in record["aRecords"]] == ["192.168.0.69"]


def test_heartbeats_are_queried(signed_in: SignedIn) -> None:
    """The printed ``az rest`` line asks the workspace, and has the last heartbeat of each machine."""
    (line,) = [line for line in _printed(signed_in.lab) if line.startswith("az rest ")]
    done = signed_in.shell(line)
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(done.stdout)["tables"]
    assert {computer for computer, _ in table["rows"]} >= {"hub", "spoke1", "onprem1"}


def test_a_failure_prints_the_call_that_shows_its_evidence(signed_in: SignedIn, tmp_path: Path) -> None:
    """The ``az rest`` line of a failure runs as it is printed, and shows that the association is missing."""
    lab = signed_in.lab
    environment = {
        "AZURE_TENANT_ID": lab.tenant_id,
        "AZURE_CLIENT_ID": lab.client_id,
        "AZURE_CLIENT_SECRET": lab.client_secret,
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    }
    result = run_pytest(
        tmp_path,
        *("--pyargs", "pytest_ampls.conformance", "-k", "ampls402"),
        f"--ampls-subscription={lab.subscriptions[0]}",
        f"--ampls-arm-endpoint={lab.arm_endpoint}",
        f"--ampls-ca-bundle={lab.ca_bundle}",
        f"--ampls-resolver=hub={lab.views[0].address}:{lab.views[0].port}",
        **environment,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    (line,) = EVIDENCE.findall(result.stdout)
    done = signed_in.shell(line)
    assert done.returncode == 0, done.stderr
    names = [entry["name"] for entry in json.loads(done.stdout)["value"]]
    assert names
    assert "configurationAccessEndpoint" not in names


def test_a_write_is_refused(signed_in: SignedIn) -> None:
    """Deleting a machine is refused as Azure refuses a reader, and the machine stays."""
    done = signed_in.shell("az vm delete --yes --name spoke1 " + " ".join(GROUP))
    assert done.returncode != 0
    assert "(AuthorizationFailed)" in done.stderr
    assert "microsoft.compute/virtualmachines/delete" in done.stderr.lower()
    assert signed_in.read("vm", "show", "--name", "spoke1", *GROUP)["name"] == "spoke1"


def test_a_resource_that_is_not_there(signed_in: SignedIn) -> None:
    """What the estate does not have is not found, in Azure's words."""
    done = signed_in.shell("az vm show --name nowhere " + " ".join(GROUP))
    assert done.returncode == 3
    assert "(ResourceNotFound)" in done.stderr


def test_nothing_leaves_loopback(signed_in: SignedIn) -> None:
    """With the printed settings az talks to the lab; what it tries beyond that is one look at its version."""
    signed_in.read("vm", "list")
    lines = signed_in.traffic.read_text(encoding="utf-8").splitlines()
    if not lines:
        pytest.skip("this az runs Python in isolated mode, and cannot be watched")
    assert not elsewhere(lines)
    assert sum(str(NO_PROXY_THERE) in line for line in lines) <= 1
