"""The sentences: complete, modest, and strict about holes."""

from __future__ import annotations

import json
import re
import string
from importlib import resources

import pytest

from figureground.audit.document.audit_json import Message
from figureground.errors import FiguregroundError, UsageError
from figureground.reports import catalogue
from figureground.reports.catalogue import Catalogue

#: Every message that the judge can write, with arguments of the kinds that it writes.
MESSAGES: dict[str, dict[str, object]] = {
    **{
        key: {}
        for key in (
            "not_competent",
            "too_few_donor_clusters",
            "rare_class",
            "not_specific",
            "not_replicated",
            "small_effect",
            "no_masks",
            "one_level",
            "no_environment_label_strata",
            "not_replicated_halves",
            "not_everyday_errors",
            "not_legal",
            "attribution_alone",
            "compositing_artificial",
            "label_strata_blind",
            "these_backgrounds_only",
            "assumes_independent_images",
            "next_break_association",
            "next_add_masks",
            "next_add_environment",
            "preprocessing_assumed",
            "assay_not_run",
            "no_strata",
            "masks_disagree",
            "more_images_no_help",
            "grey_images",
            "region_absent",
            "needs_environment",
            "grid_coarse",
            "global_whole_picture",
            "alt_compositing",
            "alt_background_carries",
            "alt_legitimate_colour",
            "alt_label_strata",
            "alt_inside_background",
            "agrees",
            "looks_does_not_use",
            "uses_not_visible",
            "not_comparable",
            "next_name_environments",
            "next_better_masks",
            "next_none",
            "severity_not_declared",
            "cue_not_run",
            "next_audit_policy",
            "next_repeat",
        )
    },
    "next_audit_cue": {"cue": "tint"},
    "held_not_measured": {"cues": ["border", "tint"]},
    "policy_deviates": {"fields": ["alpha", "fail_on"]},
    "worst_exploratory": {"group": "ward = 3", "accuracy": 0.4, "overall": 0.9},
    "few_positive": {"n": 12, "needed": 20},
    "explained_by": {"cue": "tint", "share": 0.92},
    "no_contrast": {"auroc": 0.52, "limit": 0.7},
    "assay_missed": {"size": 0.1, "power": 0.4, "wanted": 0.8},
    "not_simultaneous": {"p": 0.06},
    "gap_unexplained": {"gap": 0.12},
    "subsample": {"n": 500},
    "alt_correlated": {"cue": "border"},
    "maps_not_trusted": {"methods": ["saliency"]},
    "discordant_looks": {"cue": "background"},
    "discordant_uses": {"cue": "background"},
    "masks_partial": {"n": 300, "given": 800},
    "decision_unmatched": {"findings": ["cue-tint"]},
    "maps_failed": {"methods": ["saliency"]},
    "too_few_clusters": {"n": 12, "needed": 20},
    "imprecise": {"half_width": 0.08, "margin": 0.05, "n_needed": 1234},
    "fragile": {"rate": 0.21, "limit": 0.1},
    "next_more_data": {"n_needed": 1234},
    "cue_state": {"cue": "background", "state": "inconclusive"},
    "rows_set_aside": {"n": 3, "given": 1200},
    "worst_group": {"attribute": "site", "level": "B", "accuracy": 0.4, "overall": 0.8},
    "fragile_compositing": {"rate": 0.21},
    "quarantine_above_limit": {"n": 3, "given": 120},
}
BANNED = (
    r"compliant|conform|conforme|certified|approved|unbiased|fair model|bias-free|safe|no issues detected|"
    r"guaranteed?|trustworthy score|fully reproducible"
)


@pytest.fixture(scope="module")
def words() -> Catalogue:
    return catalogue.load("en")


@pytest.mark.parametrize("key", MESSAGES)
def test_every_message_has_a_sentence(key: str, words: Catalogue) -> None:
    text = words.message(Message(key=key, args=MESSAGES[key]))
    assert text
    assert "{" not in text


def test_numbers_are_written_by_kind(words: Catalogue) -> None:
    said = words.message(Message(key="imprecise", args=MESSAGES["imprecise"]))
    assert "± 8 points" in said
    assert "margin of 5 points" in said
    assert "about 1,234 images" in said
    assert "21.0\u202f%" in words.message(Message(key="fragile", args=MESSAGES["fragile"]))


def test_a_number_that_is_not_known_is_said_to_be_unknown(words: Catalogue) -> None:
    said = words.message(Message(key="next_more_data", args={"n_needed": None}))
    assert "unknown" in said
    assert "None" not in said


@pytest.mark.parametrize("value", ["many", True, [1, 2], 3, 2.5])
def test_odd_values_do_not_break_a_sentence(value: object, words: Catalogue) -> None:
    assert words.message(Message(key="next_more_data", args={"n_needed": value}))


def test_missing_key_and_missing_value_raise(words: Catalogue) -> None:
    with pytest.raises(FiguregroundError, match="SENTENCE_MISSING"):
        words.say("no.such.sentence")
    with pytest.raises(FiguregroundError, match="SENTENCE_VALUE"):
        words.message(Message(key="too_few_clusters", args={"n": 12}))


def test_unknown_language_raises() -> None:
    with pytest.raises(UsageError, match="REPORT_LANGUAGE"):
        catalogue.load("xx")


def test_values_are_never_read_as_templates(words: Catalogue) -> None:
    said = words.say("panel.predicted", name="{0.__class__} {lang}")
    assert said == "predicted {0.__class__} {lang}"


def test_plural(words: Catalogue) -> None:
    assert words.plural("cover.headline", 1, parts="x") == "1 cue declared: x"
    assert words.plural("cover.headline", 7, parts="x") == "7 cues declared: x"


def test_placeholders_and_kinds_are_known(words: Catalogue) -> None:
    kinds = {*catalogue._KINDS, *catalogue._IN_WORDS, ""}
    for key, sentence in words.sentences.items():
        for _, field, kind, _ in string.Formatter().parse(sentence):
            if field is not None:
                assert field.isidentifier(), key
                assert kind in kinds, key


def test_no_claim_that_nobody_can_make(words: Catalogue) -> None:
    folder = resources.files("figureground.reports") / "templates"
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".j2")}
    for where, text in {**words.sentences, **texts}.items():
        assert not re.search(rf"\b(?:{BANNED})\b", text, re.IGNORECASE), where


def test_templates_ask_only_for_sentences_that_exist(words: Catalogue) -> None:
    folder = resources.files("figureground.reports") / "templates"
    for file in folder.iterdir():
        for key in re.findall(r"""\bt\("([a-z_.]+)"[,)]""", file.read_text(encoding="utf-8")):
            assert key in words.sentences, (file.name, key)


def test_no_sentence_is_there_twice():
    from collections import Counter
    from importlib import resources

    text = (resources.files("figureground.reports") / "locales" / "en.json").read_text(encoding="utf-8")
    pairs = json.loads(text, object_pairs_hook=list)
    assert [key for key, n in Counter(key for key, _ in pairs).items() if n > 1] == []
