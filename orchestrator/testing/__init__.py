"""Conformance suites: what each kind of plug-in promises, as classes of pytest tests to inherit (docs/testing-plugins.md).

Needs pytest, which the package itself does not.
"""

import pkgutil

import pytest

# Failed assertions show their values, as in a test file.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
