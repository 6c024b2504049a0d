"""The lab's instance views: held against recorded ones, and refused where the service has nothing like it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_ampls.lab import Lab
from pytest_ampls.lab.spec import LabError
from tests.lab.arm_client import Answered, ArmClient
from tests.lab.recorded import key_paths, needs_data, recorded_lines

VERSION = "2024-11-01"


@pytest.fixture(scope="module")
def night() -> Iterator[ArmClient]:
    """A client of an estate with one machine off."""
    with Lab.from_spec("hub-and-spoke+machine-off") as lab:
        yield ArmClient(lab)


def ask(client: ArmClient, name: str, query: str = f"?api-version={VERSION}") -> Answered:
    """Ask for a machine's instance view."""
    return client.get(
        f"{client.group}/providers/Microsoft.Compute/virtualMachines/{name}/instanceView{query}"
    )


def codes(view: dict[str, Any]) -> list[str]:
    """Return the codes of a view."""
    return [status["code"] for status in view["statuses"]]


def recorded_views() -> list[dict[str, Any]]:
    """Return every view that was recorded with a power state, of machines and of instances of sets."""
    found = []
    for pattern in ("by_type/vm.jsonl", "by_type/vmssVm.jsonl", "timelines/*.jsonl"):
        for line in recorded_lines(pattern):
            body = line.get("response_body")
            if not isinstance(body, dict):
                continue
            view = (
                body
                if "/instanceView?" in str(line.get("url"))
                else body.get("properties", {}).get("instanceView")
            )
            if "PowerState/" in str(view):
                found.append(view)
    return found


def power(view: dict[str, Any]) -> dict[str, Any]:
    """Return the status of a view that tells the power state."""
    (found,) = [status for status in view["statuses"] if status["code"].startswith("PowerState/")]
    return dict(found)


@needs_data
@pytest.mark.parametrize("name", ["spoke1", "spoke2", "spoke3"])
def test_views_are_like_recorded_ones(night: ArmClient, name: str) -> None:
    """No key that no recording of the same state has; what is always there is there; the same status, word for word."""
    view = ask(night, name).json
    same = [each for each in recorded_views() if power(each)["code"] == power(view)["code"]]
    assert same
    assert set(key_paths(view)) <= {path for each in same for path in key_paths(each)}
    assert set.intersection(*(set(each) for each in same)) <= set(view) | {
        "placementGroupId",
        "platformUpdateDomain",
        "platformFaultDomain",
        "extensions",
        "bootDiagnostics",
    }
    assert all(power(view) == power(each) for each in same)


def test_a_machine_that_is_off_tells_nothing_of_its_inside(night: ArmClient) -> None:
    """Neither name nor system nor agent: only disks and statuses; a neighbour tells all of it."""
    off, on = ask(night, "spoke1").json, ask(night, "spoke3").json
    assert codes(off) == ["ProvisioningState/succeeded", "PowerState/deallocated"]
    assert codes(on) == ["ProvisioningState/succeeded", "PowerState/running"]
    assert set(on) - set(off) == {"computerName", "osName", "osVersion", "vmAgent"}


def test_the_index_and_the_document_do_not_tell(night: ArmClient) -> None:
    """The machine's own document and its row are the same as those of one that runs."""
    path = f"{night.group}/providers/Microsoft.Compute/virtualMachines/spoke1?api-version={VERSION}"
    assert "PowerState" not in night.get(path).body.decode()
    rows = night.ask_graph("resources | where type =~ 'microsoft.compute/virtualmachines'").json["data"]
    assert "PowerState" not in str(rows)
    expanded = night.get(f"{path}&$expand=instanceView").json
    assert expanded["properties"]["instanceView"] == ask(night, "spoke1").json
    assert night.get(f"{path}&$expand=everything").status == 400


@pytest.mark.parametrize(
    ("name", "query", "status", "code"),
    [
        ("spoke1", "", 400, "MissingApiVersionParameter"),
        ("spoke1", "?api-version=2024-11-02", 400, "NoRegisteredProviderFound"),
        ("spoke1", f"?api-version={VERSION}&$expand=instanceView", 400, "BadRequest"),
        ("nobody", f"?api-version={VERSION}", 404, "ResourceNotFound"),
    ],
)
def test_what_is_refused(night: ArmClient, name: str, query: str, status: int, code: str) -> None:
    """No version, one that there is not, parameters that it does not have, a machine that there is not."""
    answered = ask(night, name, query)
    assert (answered.status, answered.code) == (status, code)


def test_it_is_read_only(night: ArmClient) -> None:
    """Nothing but GET."""
    path = f"{night.group}/providers/Microsoft.Compute/virtualMachines/spoke1"
    for target in (f"{path}/instanceView", f"{path}/start", f"{path}/deallocate"):
        answered = night.send("POST", f"{target}?api-version={VERSION}", headers=night.bearer())
        assert answered.status == 403


def test_no_command_runs_in_a_machine_that_is_off(night: ArmClient) -> None:
    """Run Command is refused there, and accepted next door."""
    body = json.dumps({"commandId": "RunShellScript", "script": ["uname"]}).encode()
    found = {}
    for name in ("spoke1", "spoke3"):
        target = f"{night.group}/providers/Microsoft.Compute/virtualMachines/{name}/runCommand?api-version={VERSION}"
        found[name] = night.send("POST", target, headers=night.bearer(), body=body)
    assert found["spoke3"].status == 202
    assert (found["spoke1"].status, found["spoke1"].code) == (409, "OperationNotAllowed")


def test_a_state_that_there_is_not() -> None:
    """The argument is one of Azure's states."""
    with pytest.raises(LabError, match="no power state; there are running, deallocated"):
        Lab.from_spec("hub-and-spoke+machine-off=sleeping")
