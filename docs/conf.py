"""How the documentation is built: Sphinx with MyST, and directives that read the code."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "pytest-ampls"
author = "the pytest-ampls authors"
version = release = installed("pytest-ampls")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "public_api",
    "rules",
    "symptoms",
    "tables",
]
exclude_patterns = ["_build", "changelog.d"]
html_theme = "furo"
html_title = f"pytest-ampls {version}"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
suppress_warnings = ["ref.python"]  # the builtin "type" in a signature is taken for fields of that name
