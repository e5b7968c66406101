"""The table of Grad-CAM at another layer."""

from __future__ import annotations

from typing import Any

from figureground.reports import catalogue
from figureground.reports.sections import second_layer
from figureground.reports.sections.context import Context


def measure(name: str, value: float | None, n: int = 64) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - 0.05, value + 0.05)
    return {"name": f"second_layer_{name}", "value": value, "ci_low": low, "ci_high": high, "ci_level": 0.95, "n": n}


def check(*measures: dict[str, Any], layers: tuple[str, ...] = ("layer4", "layer3")) -> dict[str, Any]:
    numbers = {"status": "passed", "value": 0.7, "threshold": 0.2, "n": 64, "reason": None}
    return {"check": "second_layer", **numbers, "compared_with": [*layers], "measures": [*measures]}


def test_both_layers_are_named_and_every_number_has_its_interval_and_n(make_run: Any, synthetic: Any) -> None:
    numbers = {"ldr": None, "maps": 0.7123, "difference": -0.2, "share_chosen": 0.412, "share_difference": -0.031}
    told = check(*(measure(name, value, 0 if value is None else 64) for name, value in numbers.items()))
    found = second_layer.build(Context(make_run(synthetic(), trust=[told]), catalogue.load("en")))
    assert found is not None
    assert found.caption == "layer4 (used here) and layer3"
    assert found.rows == (
        ("Rank correlation of the log density ratios over images", "\u2013", "\u2013", "0"),
        ("Rank correlation of the two maps of an image", "0.71", "0.66 to 0.76", "64"),
        ("Log density ratio: chosen layer minus second", "\u22120.20", "\u22120.25 to \u22120.15", "64"),
        ("Share on the background, chosen layer", "41.2\u202f%", "36.2 to 46.2", "64"),
        ("Share on the background: chosen minus second, in points", "\u22123.1", "\u22128.1 to 1.9", "64"),
    )


def test_no_table_where_no_second_layer_was_looked_at(make_run: Any, synthetic: Any) -> None:
    context = Context(make_run(synthetic(), trust=[check(layers=())]), catalogue.load("en"))
    assert second_layer.build(context) is None


def test_every_measure_has_words() -> None:
    words = catalogue.load("en").sentences
    names = ("ldr", "maps", "difference", "share_chosen", "share_second", "share_difference")
    assert all(f"measured.second_layer_{name}" in words for name in names)
