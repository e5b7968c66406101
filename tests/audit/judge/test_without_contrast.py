"""The verdict on a cue whose contrast could not be run, or could not mean anything."""

from __future__ import annotations

import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.judge.verdict import CueJudge
from figureground.reports import catalogue


def keys(verdict):
    return [reason.key for reason in verdict.reasons]


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("no_masks", "next_add_masks"),
        ("one_level", "next_add_environment"),
        ("too_few_donors", "next_more_backgrounds"),
        ("region_absent", "next_add_masks"),
        ("grey_images", "next_none"),
        ("needs_environment", "next_name_environments"),
    ],
)
def test_what_could_not_run_is_not_tested_with_the_reason(reason, step):
    verdict = CueJudge(Policy(), "background").not_tested(reason, step)
    assert (verdict.status, verdict.estimate, keys(verdict)) == ("not_tested", None, [reason])
    assert [message.key for message in verdict.next_step] == [step]
    assert all(
        catalogue.load("en").message(message)
        for message in (*verdict.reasons, *verdict.next_step, *verdict.does_not_show)
    )


def test_a_contrast_that_could_mean_nothing_is_inconclusive_and_says_so():
    verdict = CueJudge(Policy(), "background").inconclusive("no_strata", "next_name_environments", "mass")
    assert (verdict.status, verdict.finding, keys(verdict)) == ("inconclusive", "mass", ["no_strata"])
