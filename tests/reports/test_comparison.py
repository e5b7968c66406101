"""The page of a comparison: whole, plain, escaped, silent; and its words at the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest

from figureground.audit.compare.document import CHANGE_ORDER, ChangeState, ComparisonDocument
from figureground.reports import catalogue
from figureground.reports.comparison.html import render_html, write_html
from figureground.reports.comparison.lines import comparison_lines

VOID = {"meta", "img", "source", "br", "link", "input"}
ENGINEERS = ("LDR", "logit", "p-value", "TOST", "donor", "MOVER", "bootstrap", "L1", "L2", "L3", "L4")
BANNED = r"compliant|conform|certified|approved|unbiased|safe|no issues detected|guaranteed?|fully reproducible"
EVIL = '"><script>alert(1)</script>{{7*7}}</style>'


class Page(HTMLParser):
    """Collects tags and text, and checks that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def difference(first: float, second: float, half: float = 0.03, **more: Any) -> dict[str, Any]:
    fields = {"how": "paired", "scale": "decision", "n": 600, "n_clusters": 300, "ci_level": 1 - 0.05 / 3}
    ends = {"first": first, "second": second, "estimate": second - first}
    ends |= {"ci_low": second - first - half, "ci_high": second - first + half}
    return {**fields, **ends, "smallest": 0.04, "line": 0.1, **more}


def estimate(value: float) -> dict[str, Any]:
    fields = {"n": 600, "n_clusters": 300, "ci_low": value - 0.02, "ci_high": value + 0.02, "ci_level": 0.95}
    return {**fields, "estimate": value, "status": "ok"}


def cue(name: str, state: str, first: str | None, second: str | None, **more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"cue": name, "finding": None, "state": state, "reason": None, "severity": "high"}
    fields |= {"first_status": first, "second_status": second, "first_reason": None, "second_reason": None}
    fields |= {"first_changed": None, "second_changed": None, "direction": None, "difference": None}
    return {**fields, **more}


def way(name: str = "coat") -> dict[str, str]:
    return {"class_name": name, "arm": "gravel", "reference": "grass"}


def made(name: str = "coat", level: str = "grass", **changes: Any) -> ComparisonDocument:
    """Every state once, on every scale; ``name`` and ``level`` are the user's own words."""
    changed = {"first_changed": estimate(0.05), "second_changed": estimate(0.72)}
    few = {"key": "too_few_clusters", "args": {"n": 12, "needed": 20}}
    cues = [
        cue(
            "background",
            "new",
            "inconclusive",
            "demonstrated",
            **changed,
            direction=way(name),
            difference=difference(0.01, 0.7),
        ),
        cue(
            "tint",
            "worse",
            "suspected",
            "demonstrated",
            direction=way(name),
            difference=difference(0.4, 1.5, scale="log_odds"),
        ),
        cue("border", "lost_coverage", "demonstrated", "not_tested", second_reason=few),
        cue(
            "sharpness",
            "not_comparable",
            "suspected",
            "suspected",
            reason="below_power_line",
            direction=way(name),
            difference=difference(0.1, 0.1, 0.3, smallest=0.4),
        ),
        cue(
            "brightness",
            "unchanged",
            "not_detected",
            "demonstrated",
            reason="state_flipped",
            direction=way(name),
            difference=difference(0.09, 0.1),
        ),
        cue(
            "compression",
            "better",
            "demonstrated",
            "inconclusive",
            finding=name,
            direction=way(name),
            difference=difference(9.0, 3.0, scale="native"),
        ),
        cue(
            "object_size",
            "resolved",
            "demonstrated",
            "not_detected",
            direction=way(name),
            difference=difference(0.5, 0.0),
        ),
        cue(f"region:{level}", "gained_coverage", None, "not_detected"),
        cue("place", "not_tested", "not_tested", "error"),
    ]
    measures = [
        {
            "measure": "accuracy",
            "finding": None,
            "state": "worse",
            "reason": None,
            "difference": difference(0.81, 0.66, scale="share"),
        },
        {
            "measure": "worst_group_accuracy",
            "finding": None,
            "state": "worse",
            "reason": None,
            "difference": difference(0.6, 0.2, scale="share"),
            "first_group": f"ground = {level}",
            "second_group": "ground = gravel",
        },
        {
            "measure": "background_share",
            "finding": None,
            "method": "gradcam",
            "sign": "positive",
            "state": "worse",
            "reason": None,
            "difference": difference(0.5, 0.8, scale="share"),
        },
    ]
    side = {
        "kind": "run",
        "edition": None,
        "key_id": None,
        "audit_id": "a" * 16,
        "started": "2026-11-20T09:00:00Z",
        "tool": "0.1.0",
    }
    side |= {
        "model_sha256": "1" * 64,
        "architecture": name,
        "data_sha256": "d" * 64,
        "policy_sha256": "p" * 64,
        "rows": 700,
    }
    rows = {"how": "paired", "reason": None, "common": 600, "clusters": 300, "same_mask": 590, "masks_recorded": True}
    rows |= {"other_label": 2, "only_first": 98, "only_second": 7, "weights": "larger"}
    reasons = [{"key": "gate.new", "args": {"cue": "background", "finding": None}}]
    reasons += [{"key": "gate.accuracy", "args": {"finding": None, "margin": 0.05}}]
    document = {
        "id": "0123456789abcdef",
        "tool": "0.1.0",
        "first": side | {"seal": "5" * 64},
        "second": side | {"seal": "6" * 64, "model_sha256": None},
        "same_model": False,
        "unit": "years",
        "rows": rows,
        "policy": {"delta_material": 0.1, "delta_negligible": 0.05},
        "cues": cues,
        "measures": measures,
        "groups": [
            {
                "finding": None,
                "attribute": "ground",
                "level": level,
                "label": "(all)",
                "difference": difference(0.6, 0.2, scale="share"),
            }
        ],
        "inputs": [
            {"name": "preprocessing", "first": {"resize": [64, 64]}, "second": {"resize": None}, "changed": True},
            {"name": "seed", "first": 0, "second": 0, "changed": False},
        ],
        "policy_changes": [{"field": "alpha", "declared": 0.05, "now": 0.01}],
        "not_tested": [{"subject": "border", "finding": None, "first": None, "second": few}],
        "counts": dict.fromkeys(CHANGE_ORDER, 1),
        "gate": {"exit_code": 1, "fail_on": "low", "reasons": reasons},
    }
    return ComparisonDocument.model_validate(document | changes)


@pytest.fixture(scope="module")
def text() -> str:
    return render_html(made())


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_tag_is_closed_and_every_link_leads_somewhere(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {str(attrs["href"])[1:] for attrs in page.all("a")} <= set(map(str, ids))


def test_structure_for_assistive_technology(page: Page) -> None:
    assert [len(page.all(tag)) for tag in ("h1", "main", "header", "nav", "footer")] == [1, 1, 1, 1, 1]
    assert page.all("html") == [{"lang": "en"}]
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 8
    assert all(attrs.get("alt") and attrs.get("width") and attrs.get("height") for attrs in page.all("img"))


def test_nothing_is_fetched_and_nothing_runs(text: str, page: Page) -> None:
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert not [tag for tag, attrs in page.tags if "style" in attrs or any(a.startswith("on") for a in attrs)]
    assert "default-src 'none'" in text
    sources = [attrs.get("src") or attrs.get("srcset") for attrs in (*page.all("img"), *page.all("source"))]
    assert len(sources) >= 3
    assert all(str(source).startswith("data:image/") for source in sources)


def test_the_first_screen_is_for_people_who_decide(text: str) -> None:
    cover = Page(text[: text.index("<nav")] + "</body></html>").text
    assert "9 cues compared: 1 new, 1 worse, 1 no longer tested, 1 that cannot be told" in cover
    assert "the answer changed in 5 of 100 images in the first audit, and in 72 of 100 in the second" in cover
    assert "coat is predicted 70 points more often on gravel than on grass; in the first audit, 1 point" in cover
    assert "Of 100 images, the first model answers 81 correctly and the second 66." in cover
    assert "It was tested in the first audit and not in the second: only 12 independent units, 20 needed" in cover
    assert "The gate is shut (exit code 1). New: background. Accuracy fell by more than 5 points." in cover
    assert not [word for word in ENGINEERS if re.search(rf"\b{word}", cover, re.IGNORECASE)]


def test_every_state_is_told_and_explained(page: Page) -> None:
    words = catalogue.load("en")
    for state in get_args(ChangeState):
        assert words.say(f"compare.state.{state}") in page.text
        assert words.say(f"compare.means.{state}") in page.text
    assert "A difference that matters could have been missed." in page.text
    assert "its state is another, and the difference is within what chance does" in page.text


def test_scales_are_written_in_their_own_way(page: Page) -> None:
    assert "−6 years" in page.text
    assert (
        "the odds of coat are 4.482 times as high on gravel as on grass; in the first audit, 1.492 times" in page.text
    )
    assert "That is 3.004 times as much (98.33 % interval 2.915 to 3.096)" in page.text
    assert "+69 points (98.33 % interval 66.0 to 72.0)" in page.text


def test_what_differs_what_is_missing_and_what_is_not_shown(page: Page) -> None:
    assert 'preprocessing {"resize":[64,64]} {"resize":null}' in page.text
    assert "policy: alpha 0.05 0.01" in page.text
    assert "The same in both: seed." in page.text
    assert "The two audits were judged under different policies" in page.text
    assert "an image counts with the larger of its two weights" in page.text
    assert "in both under another label; not compared 2" in page.text
    assert re.findall(rf"\b(?:{BANNED})\b", page.text, re.IGNORECASE) == []


def test_a_user_s_words_are_inert() -> None:
    found = Page(render_html(made(name=EVIL, level=EVIL)))
    assert found.open == []
    assert found.all("script") == []
    assert EVIL in found.text
    assert "49" not in re.sub(r"\d{3,}", "", found.text)  # no template is run twice


def test_without_any_difference_there_is_no_chart_and_no_hole() -> None:
    bare = made(cues=[cue("place", "not_tested", None, None)], measures=[], groups=[], not_tested=[], inputs=[])
    found = Page(render_html(bare))
    assert "There is no difference that could be drawn." in found.text
    assert "The register is empty" in found.text
    assert found.all("img") == []


def test_the_same_bytes_in_another_process_without_torch(text: str, tmp_path: Path) -> None:
    stored, out = tmp_path / "compare.json", tmp_path / "deep" / "compare.html"
    stored.write_text(made().model_dump_json(), encoding="utf-8")
    code = (
        "import sys, pathlib\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'torchvision', 'captum'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from figureground.audit.compare.document import ComparisonDocument\n"
        "from figureground.reports.comparison.html import write_html\n"
        f"text = pathlib.Path({str(stored)!r}).read_text(encoding='utf-8')\n"
        f"write_html(ComparisonDocument.model_validate_json(text), pathlib.Path({str(out)!r}))\n"
    )
    env = os.environ | {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=300)
    assert out.read_text(encoding="utf-8") == text
    assert write_html(made(), out).read_text(encoding="utf-8") == text


def test_the_last_lines_of_the_command() -> None:
    lines = comparison_lines(made())
    assert lines[1] == "compared row by row: 600 images in both, 98 only in the first, 7 only in the second"
    assert lines[2].startswith("background: New; inconclusive → shown by intervention; difference +69 points (98.33")
    assert "attribution on the background, Grad-CAM: More than before" in lines[-4]
    assert lines[-3:] == [
        "The gate is shut (exit code 1).",
        "New: background.",
        "Accuracy fell by more than 5 points.",
    ]
