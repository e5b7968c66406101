"""What a check measured is said with its limit and its unit."""

from __future__ import annotations

from typing import Any

import pytest

from figureground.audit.document.audit_json import TrustCheck
from figureground.reports import catalogue, numbers
from figureground.reports.sections import measured
from figureground.reports.sections.context import Context


def check(name: str, value: float | None, threshold: float | None = None) -> TrustCheck:
    return TrustCheck(check=name, status="passed", value=value, threshold=threshold, n=4, reason=None)


@pytest.fixture
def context(make_run: Any, synthetic: Any) -> Context:
    return Context(make_run(synthetic()), catalogue.load("en"))


@pytest.mark.parametrize(
    ("name", "value", "limit", "said"),
    [
        ("batch_invariant", 2.1e-7, 1e-4, "largest relative change of an output <\u202f0.0001; at most 0.0001"),
        ("fragility", 0.08375, 0.1, "answers changed 8.4\u202f%; at most 10.0\u202f%"),
        ("maps_not_empty_gradcam", 0.0, 0.1, "empty maps 0.0\u202f%; at most 10.0\u202f%"),
        ("map_shape", 64.0, 4.0, "cells of the map: 64; at least 4"),
        ("replication", 0.4038, 0.0, "lower bound in the weaker half 40.4 points; must lie above 0"),
        ("contrast_check_tint", 1.0, 0.7, "AUROC 1.00; at least 0.70"),
        ("assay", 0.05, None, "found from an effect of 5 points"),
        ("a_check_of_tomorrow", 3.0, 2.0, "3.00; limit 2.00"),
        ("deterministic", None, None, "–"),
    ],
)
def test_a_number_comes_with_its_sense_and_its_limit(
    context: Context, name: str, value: float | None, limit: float | None, said: str
) -> None:
    assert measured.told(context, check(name, value, limit)) == said


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_kind_has_words_with_places_for_its_number(lang: str) -> None:
    words = catalogue.load(lang).sentences
    found = {key: text for key, text in words.items() if key.startswith("measured.check.")}
    assert len(found) > 20
    assert all("{value}" in text for text in found.values())


def test_a_percentage_is_written_as_the_reader_writes_it(make_run: Any, synthetic: Any) -> None:
    words = catalogue.load("fr")
    with numbers.written_in(words.style):
        said = measured.told(Context(make_run(synthetic()), words), check("fragility", 0.08375, 0.1))
    assert "8,4\u202f%" in said
    assert "10,0\u202f%" in said
