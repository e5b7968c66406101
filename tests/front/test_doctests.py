"""Every example in a docstring runs, found by package name: a file path would import the rooms as plain `datasets`."""

import doctest
import importlib
import pkgutil

import pytest

import figureground

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(figureground.__path__, "figureground.")
    if not module.name.endswith("__main__")
)


def test_modules_are_found():
    assert "figureground.audit.measure.shares" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
