"""The page as a file: complete, well formed, closed to the outside, the same every time."""

from __future__ import annotations

import base64
import hashlib
import locale
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from figureground.audit.keeping import run_folder
from figureground.errors import FiguregroundError, UsageError
from figureground.reports.html import render_html, render_report

VOID = {"meta", "img", "source", "br", "link", "input"}
#: compliance wording rules: what no report may claim.
BANNED = (
    r"compliant|conform|conforme|certified|approved|unbiased|fair model|bias-free|safe|no issues detected|"
    r"guaranteed?|trustworthy score|fully reproducible"
)
ENGINEERS = ("LDR", "logit", "p-value", "TOST", "donor", "L1", "L2", "L3", "L4")


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
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def plain(text: str) -> str:
    return " ".join(text.split())


def test_every_tag_is_closed_and_ids_are_unique(report: str) -> None:
    page = Page(report)
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"]).removeprefix("#") for a in page.all("a")}
    assert targets <= set(map(str, ids))


def test_structure_for_assistive_technology(report: str) -> None:
    page = Page(report)
    assert len(page.all("h1")) == 1
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(tag)) for tag in ("main", "header", "nav", "footer")] == [1, 1, 1, 1]
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 8
    assert all(attrs.get("alt") and attrs.get("width") and attrs.get("height") for attrs in page.all("img"))
    assert page.all("a")[0] == {"class": "skip", "href": "#findings"}


@pytest.mark.fault("F1")
def test_nothing_is_fetched_and_nothing_runs(report: str) -> None:
    page = Page(report)
    assert page.all("link") == page.all("iframe") == []
    assert page.all("script") == [{}]  # one, of our own, inside the page: its hash is in the policy
    assert not [tag for tag, attrs in page.tags if "style" in attrs or any(a.startswith("on") for a in attrs)]
    sources = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "srcset", "href") and v]
    assert sources
    assert all(source.startswith(("data:image/", "#")) for source in sources)


@pytest.mark.fault("F1")
def test_policy_names_the_hash_of_the_only_style(report: str) -> None:
    styles = re.findall(r"<style>(.*?)</style>", report, re.DOTALL)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    policy = next(m["content"] for m in Page(report).all("meta") if m.get("http-equiv"))
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; script-src 'sha256-{_script(report)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]


def _script(page: str) -> str:
    """Hash of the only script, which must be the file as it is: nothing of the run stands in it."""
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    file = resources.files("figureground.reports") / "templates" / "report.js"
    assert script == file.read_text(encoding="utf-8")
    assert not re.search(r"eval|Function\(|fetch|XMLHttp|[Ss]torage|innerHTML|document\.write|import", script)
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def test_same_run_same_bytes(finished: Any, report: str) -> None:
    assert render_html(finished) == report


@pytest.mark.slow
def test_same_bytes_in_another_process_with_another_hash_seed_and_without_torch(
    finished: Any, report: str, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'torchvision', 'pytorch_lightning', 'captum'):\n"
        "            raise ImportError(f'{name} is blocked')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from pathlib import Path\n"
        "from figureground.reports.html import render_report\n"
        "render_report(Path(sys.argv[1]), out=Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules\n"
    )
    out = tmp_path / "other.html"
    env = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-P", "-c", code, str(finished.path), str(out)], check=True, env=env)
    assert out.read_text(encoding="utf-8") == report


def test_no_path_of_this_machine(finished: Any, report: str) -> None:
    assert str(finished.path) not in report
    assert "images/0.png" not in report


def test_every_finding_is_told(finished: Any, report: str) -> None:
    text = Page(report).text
    for finding in finished.findings:
        assert finding.id in text
    assert "Relies on background: shown by intervention" in text
    assert plain("Accuracy is lowest in ground = gravel: 41.7\u202f%, against 71.0\u202f% overall.") in text
    assert "5 of 805 rows were set aside" in text


def test_worst_group_names_its_label_and_a_cue_that_was_not_tested_its_reason(make_run: Any, synthetic: Any) -> None:
    args = {"attribute": "site", "level": "B", "label": "coat", "accuracy": 0.3, "overall": 0.8}
    findings = [{"id": "w", "cue": None, "status": None, "message": {"key": "worst_group", "args": args}}]
    reason = {"key": "too_few_clusters", "args": {"n": 12, "needed": 20}}
    cue = synthetic().cue(status="not_tested", reasons=[reason])
    verdict = {"status": "not_tested", "counts": {}, "cues": [cue]}
    not_tested = [{"subject": "background", "reason": "too_few_clusters"}]
    run = make_run(synthetic.without_evidence(), findings=findings, verdict=verdict, not_tested=not_tested)
    text = Page(render_html(run)).text
    assert "Accuracy is lowest in site = B, label coat: 30.0" in text
    assert "background only 12 independent units, 20 needed" in text


def test_a_finding_that_is_left_out_of_the_document_is_not_told(make_run: Any, synthetic: Any, finished: Any) -> None:
    kept = [f.model_dump(mode="json") for f in finished.findings if f.id != "F-003"]
    text = Page(render_html(make_run(synthetic.without_evidence(), findings=kept))).text
    assert "F-003" not in text
    assert "rows were set aside" not in text


def test_first_screen_is_for_people_who_decide(report: str) -> None:
    cover = Page(report[report.index("<header") : report.index("</header>") + 9]).text
    assert "1 cue declared: 1 shown by intervention" in cover
    assert "the answer changed in 41 of 100 images; in the control" in cover
    assert "gravel pulls to coat: coat is predicted 38.4 points more often on gravel than on grass" in cover
    assert "33.1 to 43.0" in cover
    assert "Whether any legal requirement is met." in cover
    assert "9c" * 32 in cover
    assert "21 November 2026" in cover
    for line in ("System not named", "Edition internal", "Language English", "Signature not signed"):
        assert line in cover
    assert not [word for word in ENGINEERS if re.search(rf"\b{word}", cover, re.IGNORECASE)]


def test_inconclusive_is_never_told_as_reliance(make_run: Any, synthetic: Any) -> None:
    text = Page(render_html(make_run(synthetic.without_evidence(), **synthetic().unclear()))).text
    assert "Relies on" not in text
    assert "pulls to" not in text
    assert "1 cue declared: 1 inconclusive" in text
    assert "Inconclusive: no reliance of known size could be implanted" in text
    assert "about 1,900 images would be needed" in text
    assert "Background: Inconclusive" in text


STATES = {
    "suspected": "Background: Indication, not confirmed",
    "not_detected": "Background: Not detected above 5 points",
    "not_tested": "Background: Not tested: without object masks the background cannot be exchanged",
    "error": "Background: Test did not complete",
}


@pytest.mark.parametrize("state", STATES)
def test_states_stand_with_their_cue(state: str, make_run: Any, synthetic: Any) -> None:
    reasons = [{"key": "no_masks", "args": {}}] if state == "not_tested" else []
    quiet = {"estimate": None, "ci_low": None, "ci_high": None, "direction": None}
    quiet |= {"changed_other_level": None, "changed_same_level": None, "min_detectable": None}
    cue = synthetic().cue(status=state, evidence_level=None, reasons=reasons, **quiet)
    changes = synthetic().unclear()
    changes["verdict"]["cues"] = [cue]
    text = Page(render_html(make_run(synthetic.without_evidence(), **changes))).text
    assert STATES[state] in text
    assert "Relies on" not in text


def test_alternative_text_states_the_result(report: str) -> None:
    alts = " ".join(str(image["alt"]) for image in Page(report).all("img"))
    for result in (
        "41 of 100: another kind; 6 of 100: same kind (control)",
        "52.0\u202f% of the unchanged images, 33.0\u202f% of the same images on grass, 71.4\u202f%",
        "Saliency: 61.0\u202f% of attribution lies on the background",
        "Grad-CAM: 72.0\u202f% of attribution lies on the background",
        "Accuracy is 71.0\u202f% overall and lowest in",
        "pullover taken for coat, 128 images",
        "fewest images 90 (coat, dim), most 310 (coat, bright)",
        "The effect is 38.4 points over all images",
        "On gravel. Labelled pullover, predicted coat with probability 97.0\u202f%; answer changed",
        "81.0\u202f% on background",
    ):
        assert result in alts, result


def test_accuracy_is_shown_for_label_and_background_together(report: str) -> None:
    text = Page(report).text
    assert plain("ground × label\u00a0=\u00a0gravel, pullover 200 100 41.7 35.1 to 48.3") in text


def test_ledger_closes_on_the_page(report: str) -> None:
    assert "805 rows given = 800 used + 2 quarantined + 3 filtered" in Page(report).text


def test_trust_checks_and_what_was_not_tested(report: str) -> None:
    text = Page(report).text
    assert "Can the maps be trusted? 0 checks passed, 1 failed, 0 not run." in text
    assert "Can this audit be trusted? 2 checks passed, 0 failed, 1 not run." in text
    assert "object size no test by intervention in this version" in text


def test_claims_nothing_that_nobody_can_claim(report: str) -> None:
    assert re.findall(rf"\b(?:{BANNED})\b", Page(report).text, re.IGNORECASE) == []


def test_pictures_keep_their_size_and_say_what_they_show(report: str) -> None:
    images = [i for i in Page(report).all("img") if str(i["src"]).startswith("data:image/webp")]
    assert {(i["width"], i["height"]) for i in images} == {("64", "64"), ("104", "104"), ("160", "160")}
    assert all(str(i["alt"]).strip() for i in images)


def test_run_without_pictures_or_attributes(make_run: Any, synthetic: Any) -> None:
    page = Page(render_html(make_run(synthetic.without_evidence())))
    assert page.open == []
    assert not [i for i in page.all("img") if "webp" in str(i["src"])]
    assert "No test by intervention is stored in this run." in page.text
    assert "Attribution was not measured against object masks in this run." in page.text


def test_report_enters_the_ledger_and_leaves_the_seal(make_run: Any, synthetic: Any) -> None:
    result = make_run(synthetic.without_evidence())
    seal = result.seal
    first = render_report(result.path)
    assert first == result.path / "report.en.html"
    render_report(result)
    assert run_folder.read_ledger(result.path).count("report.en.html") == 1
    assert run_folder.check_seal(result.path) == seal


def test_report_beside_the_run_is_not_in_its_ledger(make_run: Any, synthetic: Any, tmp_path: Path) -> None:
    result = make_run(synthetic.without_evidence())
    out = render_report(result, out=tmp_path / "deep" / "page.html")
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "page.html" not in run_folder.read_ledger(result.path)


def test_unfinished_run_is_refused(make_run: Any, synthetic: Any) -> None:
    result = make_run(synthetic.without_evidence())
    (result.path / "COMPLETE.json").unlink()
    with pytest.raises(UsageError, match="RUN_INCOMPLETE"):
        render_report(result.path)
    assert not (result.path / "report.en.html").exists()


def test_unknown_language_is_refused(finished: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="REPORT_LANGUAGE"):
        render_report(finished, out=tmp_path / "page.html", lang="xx")


def test_message_without_a_sentence_raises(make_run: Any, synthetic: Any) -> None:
    finding = {"id": "F-9", "cue": None, "status": None, "message": {"key": "unheard_of", "args": {}}}
    with pytest.raises(FiguregroundError, match="SENTENCE_MISSING") as caught:
        render_html(make_run(synthetic.without_evidence(), findings=[finding]))
    assert caught.value.exit_code == 70


EVIL = ("<script>alert(1)</script>", "\"'><img src=x onerror=y>&amp;]]></svg>{{7*7}}{% raw %}")
PLACES = ('javascript:alert(1) "onerror="alert(1)', "}} {{ 7*7 }} </style>")


@pytest.mark.fault("F1")
def test_names_from_the_user_are_escaped_everywhere(make_run: Any, synthetic: Any) -> None:
    text = render_html(make_run(synthetic(classes=EVIL, levels=PLACES)))
    page = Page(text)
    assert page.open == []
    assert page.all("script") == [{}]
    assert _script(text)
    assert not [attrs for _, attrs in page.tags if {"onerror", "onload", "onclick"} & set(attrs)]
    addresses = [attrs[name] or "" for _, attrs in page.tags for name in ("href", "src", "srcset") if name in attrs]
    assert not [address for address in addresses if not address.startswith(("data:image/", "#"))]
    assert all(plain(name) in page.text for name in (*EVIL, *PLACES))  # as words
    svgs = [base64.b64decode(m).decode() for m in re.findall(r"svg\+xml;base64,([^\"]+)", text)]
    assert len(svgs) > 10
    assert all(ElementTree.fromstring(svg) is not None for svg in svgs)  # well formed  # noqa: S314
    assert not [svg for svg in svgs if "<script" in svg or "<img" in svg]
    assert any("&lt;script" in svg for svg in svgs)


@pytest.mark.fault("F3")
def test_charts_take_names_as_they_are(make_run: Any, synthetic: Any) -> None:
    dollars, pandas = ("$\\frac{$", "a_$5 vs $6"), ("熊猫", "🐼 panda")
    text = render_html(make_run(synthetic(classes=dollars, levels=pandas)))
    svgs = [base64.b64decode(m).decode() for m in re.findall(r"svg\+xml;base64,([^\"]+)", text)]
    assert "failed:" not in Page(text).text
    for name in (*dollars, *pandas):
        assert any(name in svg for svg in svgs)  # as text, which the reader's own fonts draw


@pytest.mark.fault("F9")
def test_numbers_and_times_do_not_follow_the_locale(
    finished: Any, make_run: Any, synthetic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(synthetic.without_evidence())
    report = render_html(run)
    started = finished.document.audit.started
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", started)
    decimal = {**locale.localeconv(), "decimal_point": ",", "thousands_sep": "."}  # what de_DE gives
    monkeypatch.setattr(locale, "localeconv", lambda: decimal)
    assert render_html(run) == report


@pytest.mark.parametrize("cue", ["tint", "object_patch", "corner_top_left", "object_size", "place", "region:ruler"])
def test_what_was_changed_is_told_of_the_cue_that_was_changed(cue: str, finished: Any) -> None:
    from figureground.reports.catalogue import load
    from figureground.reports.sections.context import Context
    from figureground.reports.sections.cover import build

    verdict = finished.document.verdict
    told = verdict.model_copy(update={"cues": [verdict.cues[0].model_copy(update={"cue": cue})]})
    document = finished.document.model_copy(update={"verdict": told})
    result = SimpleNamespace(
        document=document, tests=finished.tests, subgroups=finished.subgroups, gallery=finished.gallery
    )
    (card,) = build(Context(result, load("en"))).cards
    assert "exchanged" in card.sentences[0] or "changed to that of another kind" in card.sentences[0]
    assert "background" not in " ".join([*card.sentences, card.alt])


@pytest.mark.fault("F8")
def test_a_chart_that_cannot_be_drawn_says_so_and_the_rest_stands(
    finished: Any, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from figureground.reports.sections import causal, cover, performance

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("no <ink>")

    for module, name in ((causal, "swap_chart"), (performance, "interval_chart"), (cover, "frequency_chart")):
        monkeypatch.setattr(module, name, broken)
    page = Page(render_html(finished))
    assert page.open == []
    assert "failed: this chart could not be drawn (ZeroDivisionError: no <ink>)" in page.text
    whole = Page(report)
    assert [words for words in ("accuracy", "Relies on") if words.lower() not in page.text.lower()] == []
    assert len(page.all("table")) == len(whole.all("table"))
    assert 0 < len(page.all("picture")) < len(whole.all("picture"))
