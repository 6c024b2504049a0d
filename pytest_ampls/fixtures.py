"""One fixture for each kind of resource, and those that concern the whole run.

A test that asks for ``vm`` runs once per virtual machine, and likewise for the other kinds. A
fixture of the same name in a test file or a ``conftest.py`` wins, and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

    from pytest_ampls.catalogue import Rule
    from pytest_ampls.model.compute import ArcMachine, VirtualMachine, VirtualMachineScaleSet
    from pytest_ampls.model.estate import Estate
    from pytest_ampls.model.machine import Machine
    from pytest_ampls.model.monitor import (
        ApplicationInsights,
        DataCollectionEndpoint,
        DataCollectionRule,
        PrivateLinkScope,
        Workspace,
    )
    from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
    from pytest_ampls.model.private_dns import PrivateDnsZone
    from pytest_ampls.model.vantage import Resolver
    from pytest_ampls.requirements import Requirements
    from pytest_ampls.run import Run
    from pytest_ampls.subjects import Subject

__all__ = ["Judge", "run_wide"]

Judge = Callable[..., None]
"""The type of the ``judge`` fixture: ``judge(rule, subject, *more)``."""


def _subject(request: pytest.FixtureRequest) -> Any:
    """Return the resource of a parametrized test; raise or skip where there is none."""
    __tracebackhide__ = True
    from pytest_ampls.errors import NotReadError

    subject: Subject = request.param
    run: Run | None = request.config.pluginmanager.get_plugin("ampls-run")
    assert run is not None  # a subject comes from a run
    if subject.gap is not None:
        raise subject.gap.error()
    if subject.unread and not subject.members:
        from pytest_ampls.grouping import incomplete

        raise incomplete(subject.unread)
    if subject.problem:
        raise NotReadError(subject.problem)
    if subject.absent:
        pytest.skip(subject.absent)
    return subject.members or run.current(subject.resource)


@pytest.fixture
def ampls(request: pytest.FixtureRequest) -> PrivateLinkScope:
    """An Azure Monitor Private Link Scope; the test runs once per scope."""
    scope: PrivateLinkScope = _subject(request)
    return scope


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """A Log Analytics workspace; the test runs once per workspace."""
    found: Workspace = _subject(request)
    return found


@pytest.fixture
def app_insights(request: pytest.FixtureRequest) -> ApplicationInsights:
    """An Application Insights component; the test runs once per component."""
    found: ApplicationInsights = _subject(request)
    return found


@pytest.fixture
def dce(request: pytest.FixtureRequest) -> DataCollectionEndpoint:
    """A data collection endpoint; the test runs once per endpoint."""
    found: DataCollectionEndpoint = _subject(request)
    return found


@pytest.fixture
def dcr(request: pytest.FixtureRequest) -> DataCollectionRule:
    """A data collection rule; the test runs once per rule."""
    found: DataCollectionRule = _subject(request)
    return found


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Machine:
    """Whatever carries associations: a VM, an Arc machine, a Uniform scale set; once per machine."""
    found: Machine = _subject(request)
    return found


@pytest.fixture
def guest_machine(request: pytest.FixtureRequest) -> Machine:
    """A machine whose guest was looked at; the test runs once per such machine."""
    found: Machine = _subject(request)
    return found


@pytest.fixture
def logged_machine(request: pytest.FixtureRequest) -> Machine:
    """A single machine, where workspaces were asked for what arrives; the test runs once per machine."""
    found: Machine = _subject(request)
    return found


@pytest.fixture
def queried_workspace(request: pytest.FixtureRequest) -> Workspace:
    """A workspace that was asked for what arrives; the test runs once per such workspace."""
    found: Workspace = _subject(request)
    return found


@pytest.fixture
def vm(request: pytest.FixtureRequest) -> VirtualMachine:
    """A virtual machine, instances of Flexible scale sets included; the test runs once per machine."""
    found: VirtualMachine = _subject(request)
    return found


@pytest.fixture
def vmss(request: pytest.FixtureRequest) -> VirtualMachineScaleSet:
    """A virtual machine scale set; the test runs once per set."""
    found: VirtualMachineScaleSet = _subject(request)
    return found


@pytest.fixture
def arc_machine(request: pytest.FixtureRequest) -> ArcMachine:
    """A machine that Azure Arc manages; the test runs once per machine."""
    found: ArcMachine = _subject(request)
    return found


@pytest.fixture
def virtual_network(request: pytest.FixtureRequest) -> VirtualNetwork:
    """A VNet that machines or private endpoints of scopes are in; the test runs once per VNet."""
    found: VirtualNetwork = _subject(request)
    return found


@pytest.fixture
def private_endpoint(request: pytest.FixtureRequest) -> PrivateEndpoint:
    """A private endpoint of a private link scope; the test runs once per endpoint."""
    found: PrivateEndpoint = _subject(request)
    return found


@pytest.fixture
def private_dns_zone(request: pytest.FixtureRequest) -> PrivateDnsZone:
    """A private DNS zone of Azure Monitor; the test runs once per zone."""
    found: PrivateDnsZone = _subject(request)
    return found


@pytest.fixture
def resolver(request: pytest.FixtureRequest) -> Resolver:
    """A vantage point that DNS was asked from; the test runs once per vantage point."""
    found: Resolver = _subject(request)
    return found


@pytest.fixture
def guest(vm: VirtualMachine, pytestconfig: pytest.Config) -> Host:
    """A testinfra host for a virtual machine, over ssh, WinRM or Run Command; the test runs once per machine."""
    __tracebackhide__ = True
    from pytest_ampls.guest import host_of

    run = _run(pytestconfig)
    host = host_of(vm, run.guest_access, timeout=run.settings.guest_timeout)
    if host is None:
        pytest.skip(
            f"no guest access leads to {vm.label!r}: give --ampls-guests (ssh:// for Linux, winrm:// for Windows) or "
            "--ampls-run-command"
        )
    return host


def run_wide(config: pytest.Config) -> ModuleType:
    """Return a plugin with the fixtures that are one for a whole run: ``ampls_run``, ``estate``, ``judge``.

    They take no fixture, not even ``request``: what a test's fixtures take is looked up anew for each test,
    cached or not, and for thousands of tests that costs more than their verdicts.
    """

    @pytest.fixture(scope="session")
    def ampls_run() -> Run:
        """The run: settings, requirements and the estate. Most tests want ``estate``."""
        return _run(config)

    @pytest.fixture(scope="session")
    def estate() -> Estate:
        """Everything that was read, navigable; the same for every worker."""
        return _run(config).estate

    @pytest.fixture(scope="session")
    def judge() -> Judge:
        """Judge a resource by a rule as the requirements file has it.

        ``judge(assert_query_access_mode, ampls)`` calls the assertion with the expectations of
        ``ampls.toml``, and skips with the reason what the file leaves out.
        """
        return _judge(_run(config).requirements)

    plugin = ModuleType("pytest_ampls.run_wide_fixtures")
    plugin.__dict__.update(ampls_run=ampls_run, estate=estate, judge=judge)
    return plugin


def _run(config: pytest.Config) -> Run:
    run: Run | None = config.pluginmanager.get_plugin("ampls-run")
    if run is None:
        from pytest_ampls.options import UNCONFIGURED

        raise pytest.UsageError(UNCONFIGURED)
    return run


def _judge(requirements: Requirements) -> Judge:
    from pytest_ampls.errors import ConfigurationError

    def by_requirements(rule: Rule[Any], subject: Any, *more: Any) -> None:
        __tracebackhide__ = True
        reason = requirements.reason_left_out(rule, subject)
        if reason is not None:
            pytest.skip(f"{rule.id} left out: {reason}")
        try:
            rule(subject, *more, **requirements.keywords(rule, subject))
        except ConfigurationError as error:
            raise requirements.blamed(error, rule, subject) from None

    return by_requirements
