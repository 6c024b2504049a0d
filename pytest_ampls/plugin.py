"""The pytest plugin: options, registration, and nothing that costs time in a project that does not use it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_ampls import options, settings
from pytest_ampls.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_ampls.run import Run

__all__: list[str] = []

_MARKER: Final = (
    "ampls(name=…, resource_group=…, location=…, os=…, tags={…}): run this test only on the resources that match; "
    "patterns as in fnmatch, without regard to case"
)

_SUBJECT_FIXTURES: Final = frozenset(
    (
        "ampls",
        "app_insights",
        "arc_machine",
        "dce",
        "dcr",
        "guest_machine",
        "logged_machine",
        "machine",
        "private_dns_zone",
        "private_endpoint",
        "queried_workspace",
        "resolver",
        "virtual_network",
        "vm",
        "vmss",
        "workspace",
    )
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that users may implement."""
    from pytest_ampls import hookspec

    pluginmanager.add_hookspecs(hookspec)


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures, and the run where an estate is configured."""
    from pytest_ampls import fixtures

    config.addinivalue_line("markers", _MARKER)
    config.pluginmanager.register(fixtures, "ampls-fixtures")
    config.pluginmanager.register(fixtures.run_wide(config), "ampls-run-wide-fixtures")
    try:
        found = settings.read_settings(config)
        if found.configured:
            from pytest_ampls.run import Run

            config.pluginmanager.register(Run(config, found), "ampls-run")
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the catalogue of rules, or a diagnosis, where that is asked for instead of a run."""
    if config.option.ampls_rules:
        from pytest_ampls.assertions import CATALOGUE
        from pytest_ampls.report.terminal import catalogue_lines

        print("\n".join(catalogue_lines(CATALOGUE)))
        return 0
    try:
        found = settings.read_settings(config)
        return _diagnose(config, found) if found.diagnose else None
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


def _diagnose(config: pytest.Config, found: settings.Settings) -> int:
    """Read the estate, print where the data of some machines stops, and return the exit code."""
    if not found.configured:
        raise ConfigurationError(options.UNCONFIGURED)
    from pytest_ampls import diagnose
    from pytest_ampls.reading import Source
    from pytest_ampls.requirements import load_requirements

    requirements = load_requirements(found.requirements)
    with Source(
        found,
        vantage_points=requirements.vantage_points,
        names=requirements.names,
        credential=lambda cloud: config.hook.pytest_ampls_credential(config=config, cloud=cloud),
        say=lambda line: print(line, file=sys.stderr),
    ) as source:
        estate = source.estate(source.read())
    text, code = diagnose.run(estate, found.diagnose, form=found.diagnose_format, requirements=requirements)
    print(text)
    return code


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for one of our fixtures once per resource."""
    known = _SUBJECT_FIXTURES | {"estate"}
    wanted = [name for name in metafunc.fixturenames if name in known and _is_ours(metafunc, name)]
    if not wanted:
        return
    run: Run | None = metafunc.config.pluginmanager.get_plugin("ampls-run")
    if run is None:
        raise pytest.Collector.CollectError(
            f"{metafunc.definition.nodeid} asks for {wanted[0]}: {options.UNCONFIGURED}"
        )
    for name in wanted:
        if name == "estate":
            run.read()
        else:
            run.parametrize(metafunc, name)


def _is_ours(metafunc: pytest.Metafunc, name: str) -> bool:
    """Tell whether a fixture is this package's: a user's own of the same name is never parametrized."""
    # pytest has no public way to ask which definition of a fixture a test gets.
    definitions = metafunc._arg2fixturedefs.get(name, ())
    return bool(definitions) and definitions[-1].func.__module__ == "pytest_ampls.fixtures"
