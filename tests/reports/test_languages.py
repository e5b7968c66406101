"""Two languages: the same sentences in both, and on a French page nothing that is left in English."""

from __future__ import annotations

import ast
import base64
import json
import re
import string
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from figureground import judge_again, render_report, run_audit
from figureground.audit.document.audit_json import Message
from figureground.cli import app
from figureground.errors import UsageError
from figureground.reports import catalogue, numbers
from figureground.reports.catalogue import Catalogue
from figureground.reports.html import render_html
from figureground.reports.said import recognised, templates_of

NARROW = numbers.NARROW
LOCALES = resources.files("figureground.reports") / "locales"
EN, FR = catalogue.load("en"), catalogue.load("fr")
#: compliance wording rules, in French: what no report may claim. Words stand for their inflections.
BANNED_FR = (
    r"conformes?|en conformité|certifiée?s?|homologuée?s?|approuvée?s?|agréée?s?|sans biais|non biaisée?s?|"
    r"dépourvue?s? de biais|exempte?s? de biais|équitables?|impartiale?s?|sûre?s?|sécurisée?s?|garantie?s?|garantit|"
    r"aucun problème|score de confiance élevé|digne de confiance|entièrement reproductibles?|sans risque"
)


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def literal(sentence: str) -> list[str]:
    """What a sentence says whatever its values are."""
    return [text for text, _, _, _ in string.Formatter().parse(sentence)]


class Told(HTMLParser):
    """Everything that a reader sees, hears or reads on a chart."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.inside: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "source", "br", "link", "input"}:
            self.inside.append(tag)
        for name, value in attrs:
            if name in ("alt", "title", "aria-label") and value:
                self.texts.append(value)
            if name in ("src", "srcset") and str(value).startswith("data:image/svg+xml;base64,"):
                self.texts += _drawn(str(value).split(",", 1)[1])

    def handle_endtag(self, tag: str) -> None:
        self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "code"} & set(self.inside) and data.strip():
            self.texts.append(data)

    @property
    def whole(self) -> str:
        return "\n".join(" ".join(text.split(" ")) for text in self.texts)


def _drawn(encoded: str) -> list[str]:
    tree = ElementTree.fromstring(base64.b64decode(encoded))  # noqa: S314 - drawn by ourselves
    return [text for node in tree.iter() if node.tag.endswith("text") and (text := "".join(node.itertext()).strip())]


@pytest.fixture(scope="module")
def french_page(finished: Any) -> str:
    return render_html(finished, "fr")


@pytest.fixture(scope="module")
def french(french_page: str) -> str:
    return Told(french_page).whole


# --- the catalogues


def test_both_languages_have_the_same_sentences_each_once() -> None:
    texts = {lang: (LOCALES / f"{lang}.json").read_text(encoding="utf-8") for lang in catalogue.languages()}
    assert set(texts) == {"en", "fr"}
    keys = {lang: Counter(key for key, _ in json.loads(text, object_pairs_hook=list)) for lang, text in texts.items()}
    assert [key for found in keys.values() for key, n in found.items() if n > 1] == []
    assert set(keys["fr"]) - set(keys["en"]) == set()
    assert set(keys["en"]) - set(keys["fr"]) == set()


def test_every_sentence_takes_the_same_values_in_both_languages() -> None:
    differing = {key: (fields(said), fields(FR.sentences[key])) for key, said in EN.sentences.items()}
    assert {key: both for key, both in differing.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("words", [EN, FR], ids=["en", "fr"])
def test_words_that_agree_with_a_number_have_one_form_for_one_and_one_for_many(words: Catalogue) -> None:
    for key, sentence in words.sentences.items():
        for _, name, kind, _ in string.Formatter().parse(sentence):
            if kind is not None and kind.startswith("?"):
                assert name, key
                assert len(kind[1:].split("|")) == 2, key


def test_every_kind_of_value_is_known() -> None:
    known = {*catalogue._KINDS, *catalogue._IN_WORDS, "", None}
    for key, sentence in FR.sentences.items():
        kinds = {kind for _, _, kind, _ in string.Formatter().parse(sentence) if not str(kind).startswith("?")}
        assert kinds <= known, key


def test_french_marks_stand_behind_a_narrow_space_that_does_not_break() -> None:
    wrong = [
        key
        for key, said in FR.sentences.items()
        if not key.endswith(".command")
        and re.search(rf"[^{NARROW}\d\w.…→)\]\"'-][;:!?%»]|[  ][;:!?%»]|«(?!{NARROW})|'", _said(said))
    ]
    assert wrong == []


def _said(sentence: str) -> str:
    return "".join(f"{text}{'x' if name else ''}" for text, name, _, _ in string.Formatter().parse(sentence))


def test_no_sentence_of_some_length_is_left_in_english() -> None:
    same = [
        key
        for key, said in FR.sentences.items()
        if said == EN.sentences[key]
        and len(re.findall(r"[A-Za-z]{3,}", "".join(literal(said)))) > 2
        and not key.endswith(".command")
    ]
    assert same == []


def test_nothing_is_claimed_in_french_that_nobody_can_claim() -> None:
    found = {key: said for key, said in FR.sentences.items() if re.search(rf"\b(?:{BANNED_FR})\b", said, re.IGNORECASE)}
    assert found == {}
    assert re.search(rf"\b(?:{BANNED_FR})\b", "Le modèle est certifié et non biaisé.")


def test_display_words_are_the_agreed_ones() -> None:
    said = {
        state: FR.sentences[f"verdict.{state}"].replace(NARROW, " ") for state in ("suspected", "not_detected", "error")
    }
    assert said == {
        "suspected": "Indice non confirmé",
        "not_detected": "Non détectée au-delà de {bound:points}",
        "error": "Test non abouti (panne technique)",
    }
    shown = FR.say("verdict.demonstrated", cue="background", reason="", bound=None)
    assert shown.replace(NARROW, " ") == "Dépendance à l’arrière-plan : mise en évidence par intervention"
    assert FR.say("verdict.inconclusive", reason="x").replace(NARROW, " ") == "Non concluant : x"
    assert FR.say("verdict.not_tested", reason="x").replace(NARROW, " ") == "Non testé : x"


# --- words that follow a value


@pytest.mark.parametrize(
    ("cue", "to_it", "of_it"),
    [
        ("background", "à l’arrière-plan", "de l’arrière-plan"),
        ("border", "au bord", "du bord"),
        ("tint", "à la teinte", "de la teinte"),
        ("object_patch", "aux marques sur l’objet", "des marques sur l’objet"),
        ("place", "à un emplacement fixe de l’image", "de un emplacement fixe de l’image"),
        ("ruler", f"à «{NARROW}ruler{NARROW}»", f"de «{NARROW}ruler{NARROW}»"),
    ],
)
def test_articles_contract_with_what_stands_before_them(cue: str, to_it: str, of_it: str) -> None:
    words = Catalogue("fr", {**FR.sentences, "x": "{cue:to_the}|{cue:of_the}"})
    assert words.say("x", cue=cue).split("|") == [to_it, of_it]


@pytest.mark.parametrize(("n", "one"), [(0, True), (1, True), (1.5, True), (2, False), (12800, False)])
def test_plural_begins_at_two_in_french_and_anywhere_but_at_one_in_english(n: float, one: bool) -> None:
    assert FR.style.one(n) is one
    assert EN.style.one(n) is (n == 1)
    words = Catalogue("fr", {**FR.sentences, "x": "{n:?image|images}"})
    assert words.say("x", n=n) == ("image" if one else "images")


def test_dates_are_written_out() -> None:
    words = Catalogue("fr", {**FR.sentences, "x": "{at:day}"})
    assert words.say("x", at="2026-11-28T05:06:07+00:00") == "28 novembre 2026"
    assert words.say("x", at="2026-08-01") == "1er août 2026"


# --- numbers


def test_numbers_are_written_as_french_readers_expect() -> None:
    with numbers.written_in(FR.style):
        assert numbers.count(12800) == f"12{NARROW}800"
        assert numbers.percent(0.6104) == f"61,0{NARROW}%"
        assert numbers.span(-0.12, 0.34) == "−12,0 à 34,0"
        assert [numbers.points(value) for value in (0.384, 0.05, 0.015, 0.0)] == [
            "38,4 points",
            "5 points",
            "1,5 point",
            "0 point",
        ]
        assert numbers.p_value(0.00001) == "< 0,001"
        assert [numbers.of_hundred(value) for value in (0.002, 0.412, 0.998)] == ["moins de 1", "41", "plus de 99"]
        assert numbers.quantity(12345.6) == f"12{NARROW}346"
        assert numbers.level(0.975) == f"97,5{NARROW}%"
    assert numbers.count(12800) == "12,800"


@given(st.floats(-1e9, 1e9))
def test_a_number_is_the_same_in_both_languages(value: float) -> None:
    back = str.maketrans({",": ".", NARROW: ","})
    for write in (numbers.fixed, numbers.general, numbers.quantity, numbers.hundredths, numbers.signed):
        with numbers.written_in(FR.style):
            told = write(value)
        assert told.translate(back) == write(value)


# --- reasons that are stored as sentences


def _stored_reasons() -> set[str]:
    """Every sentence that the audit's code gives as a reason; 7 stands for what it fills in."""
    files = sorted((Path(catalogue.__file__).parents[1] / "audit").rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    return {
        text
        for node in nodes
        for value in _reasons(node)
        for text in _texts(value)
        if re.search(r"[a-z]{2} [a-z]", text)
    }


def _reasons(node: ast.AST) -> list[Any]:
    named = isinstance(node, ast.keyword) and node.arg == "reason"
    assigned = isinstance(node, ast.Assign) and any(getattr(name, "id", "") == "reason" for name in node.targets)
    told = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("result", "not_run", "_check")
    return [node.value] if named or assigned else [*node.args[1:]] if told else []


def _texts(value: ast.expr) -> list[str]:
    if isinstance(value, ast.IfExp):
        return [*_texts(value.body), *_texts(value.orelse)]
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else _filled(part) for part in value.values)]
    return []


def _filled(part: ast.expr) -> str:
    return "7%" if "%" in ast.unparse(part) else "7"


def test_every_sentence_that_the_audit_stores_as_a_reason_is_known_in_french() -> None:
    stored = _stored_reasons()
    assert len(stored) > 30
    templates = templates_of(EN.sentences)
    assert {text for text in stored if recognised(text, templates) is None} == set()


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("17 levels: an identifier, a date or free text", "17 niveaux : un identifiant, une date ou du texte libre"),
        ("1 images give logits that are not finite", "1 image donne des logits non finis"),
        ("the same partition as label", "même partition que label"),
        (
            "no implanted reliance was found in 80% of the redraws",
            "aucune dépendance implantée n’a été trouvée dans 80 % des retirages",
        ),
        ("what somebody wrote", "what somebody wrote"),
    ],
)
def test_a_stored_sentence_is_told_in_french(stored: str, told: str) -> None:
    assert FR.term("reason", stored).replace(NARROW, " ") == told
    assert EN.term("reason", stored) == stored


def test_a_check_of_one_cue_is_named_by_both() -> None:
    assert FR.check("contrast_check_border") == "Les types d’arrière-plan se distinguent (bord)"
    assert EN.check("no_such_check") == "no such check"


# --- the page


def test_the_page_says_its_language(french_page: str) -> None:
    assert '<html lang="fr">' in french_page


def test_no_english_is_left_on_a_french_page(french: str) -> None:
    """Every piece of an English sentence that is three words long or longer is looked for."""
    said = "\n".join(FR.sentences.values())
    pieces = {
        piece.strip()
        for key, sentence in EN.sentences.items()
        if not key.endswith(".command")
        for piece in literal(sentence)
        if len(re.findall(r"[A-Za-z]{2,}", piece)) >= 3 and piece.strip() not in said
    }
    assert len(pieces) > 500
    assert sorted(piece for piece in pieces if piece in french) == []


def test_no_english_number_is_left_on_a_french_page(french: str) -> None:
    evidence = french.split("Identité de l’audit")[0]  # below it stand versions, hashes and JSON
    assert re.findall(r"\d\.\d[^\n]*", evidence.replace("figureground 0.1.0", "")) == []
    assert re.findall(r"\d %|\d\u00a0%|\d%", evidence) == []
    assert re.search(rf"\d,\d{NARROW}%", evidence)


def test_a_page_does_not_depend_on_the_one_before_it(make_run: Any, synthetic: Any) -> None:
    run = make_run(synthetic.without_evidence())
    english, french = render_html(run, "en"), render_html(run, "fr")
    assert english != french
    assert [render_html(run, lang) for lang in ("en", "fr")] == [english, french]


def test_nothing_is_claimed_on_a_french_page(french: str) -> None:
    assert re.findall(rf"\b(?:{BANNED_FR})\b", french, re.IGNORECASE) == []


# --- from Python and from the command line


def test_languages_are_named_once_and_must_be_known() -> None:
    assert catalogue.asked_languages("fr, en,fr") == ("fr", "en")
    assert catalogue.asked_languages(["en"]) == ("en",)
    for wrong in ("de", "", []):
        with pytest.raises(UsageError, match="REPORT_LANGUAGE"):
            catalogue.asked_languages(wrong)


def test_one_command_writes_both_reports(make_run: Any, synthetic: Any) -> None:
    run = make_run(synthetic.without_evidence()).path
    done = CliRunner().invoke(app, ["report", str(run), "--lang", "fr,en"])
    assert done.exit_code == 0, done.output
    assert done.output.index("report.fr.html") < done.output.index("report.en.html")
    french, english = ((run / f"report.{lang}.html").read_text(encoding="utf-8") for lang in ("fr", "en"))
    assert "Aller aux constats" in french
    assert "Skip to the findings" in english


def test_an_audit_refuses_an_unknown_language_before_it_reads_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="REPORT_LANGUAGE"):
        run_audit(tmp_path / "no-such-model.ckpt", tmp_path / "no-such-data.csv", lang="en,xx")
    with pytest.raises(UsageError, match="REPORT_LANGUAGE"):
        judge_again(tmp_path / "no-such-run", lang="xx")


def test_one_file_cannot_hold_two_languages(make_run: Any, synthetic: Any, tmp_path: Path) -> None:
    run = make_run(synthetic.without_evidence())
    with pytest.raises(UsageError, match="REPORT_OUT"):
        render_report(run, out=tmp_path / "both.html", lang="en,fr")
    assert not (tmp_path / "both.html").exists()


def test_a_message_of_the_document_is_told_in_the_language_of_the_reader() -> None:
    message = Message(key="too_few_clusters", args={"n": 1, "needed": 20})
    assert FR.message(message) == "seulement 1 unité indépendante, il en faut 20"
    assert EN.message(message) == "only 1 independent units, 20 needed"


def test_cards_and_documents_write_numbers_as_their_reader_does(finished: Any, tmp_path: Path) -> None:
    from figureground.reports.twins.writing import render_formats

    (card,) = render_formats(finished, ["card"], out=tmp_path, lang="fr")
    front, body = card.read_text(encoding="utf-8").split("\n---\n", 1)
    assert re.search(r"\d,\d", body)
    assert not re.search(r"\d\.\d", re.sub(r"figureground \S+|\d+\.\d+\.\d+", "", body))
    assert re.search(r"\d\.\d", front), "what machines read keeps its points"
