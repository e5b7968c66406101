"""Floors of what we depend on, against a dated list of published advisories; open ones are ignored for a time only."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LISTED: dict[str, Any] = tomllib.loads((ROOT / "tests" / "advisories.toml").read_text(encoding="utf-8"))
#: An ignored advisory is looked at again after at most so many days.
LONGEST = 120


def declared() -> dict[str, list[Requirement]]:
    """Every requirement of the package and its extras, by name; those on ourselves are left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    found: dict[str, list[Requirement]] = {}
    for item in map(Requirement, lines):
        if canonicalize_name(item.name) != "figureground":
            found.setdefault(canonicalize_name(item.name), []).append(item)
    return found


def floor(item: Requirement) -> Version:
    """The least version that a requirement takes."""
    versions = [Version(part.version) for part in item.specifier if part.operator in (">=", "==", "~=")]
    assert versions, f"{item} has no floor"
    return max(versions)


@pytest.mark.parametrize("entry", LISTED["advisory"], ids=lambda entry: f"{entry['package']}-{entry['id']}")
def test_no_floor_is_below_a_fix(entry: dict[str, Any]) -> None:
    for item in declared().get(entry["package"], []):
        told = f"{item} takes versions with {entry['id']}, fixed in {entry['fixed_in']}: {entry['source']}"
        assert floor(item) >= Version(entry["fixed_in"]), told


def test_every_declared_package_was_looked_up() -> None:
    known = {entry["package"] for entry in [*LISTED["advisory"], *LISTED["ignored"]]} | set(LISTED["without"])
    unknown = sorted(set(declared()) - known)
    assert unknown == [], f"look these up, and enter them in tests/advisories.toml: {', '.join(unknown)}"


def test_the_list_is_dated_and_every_entry_has_a_source() -> None:
    assert isinstance(LISTED["as_of"], date)
    for entry in [*LISTED["advisory"], *LISTED["ignored"]]:
        assert entry["source"].startswith("https://")
    for entry in LISTED["advisory"]:
        assert Version(entry["fixed_in"])


@pytest.mark.parametrize("entry", LISTED["ignored"], ids=lambda entry: entry["id"])
def test_what_is_ignored_has_a_reason_is_used_and_has_not_expired(entry: dict[str, Any]) -> None:
    assert entry["package"] in declared(), f"{entry['package']} is not used: take {entry['id']} off the list"
    assert len(entry["reason"]) > 40
    assert (entry["expires"] - LISTED["as_of"]).days <= LONGEST
    today = datetime.now(UTC).date()
    assert today <= entry["expires"], f"{entry['id']} was ignored until {entry['expires']}: is it fixed?"


def test_the_recipe_ignores_what_the_list_ignores_and_nothing_else() -> None:
    recipe = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    ignored = {word for line in recipe.splitlines() if "--ignore-vuln" in line for word in line.split()}
    assert {word for word in ignored if word.startswith(("CVE-", "GHSA-", "PYSEC-"))} == {
        entry["id"] for entry in LISTED["ignored"]
    }
