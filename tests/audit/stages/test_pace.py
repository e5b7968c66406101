"""The time expected: planned work against what a run did, and what --time makes of a pace. No test reads a clock."""

from contextlib import contextmanager
from itertools import count

import pytest
from torch import nn

from figureground.audit.classify.subject import as_subject
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.cues import DEFAULT_CUES
from figureground.audit.stages.pace import (
    BESIDE,
    MAP_PASSES,
    MAP_ROWS,
    PLAIN,
    PLAIN_PASSES,
    WARM_UP,
    Pace,
    Planner,
    WarmUp,
    Work,
    in_words,
    parts_of,
)
from figureground.audit.stages.taking_in import TakeIn
from figureground.datasets.datamodule import RowReader, rows_of
from figureground.datasets.images import RowFault
from figureground.datasets.intake import Intake
from figureground.datasets.sources import open_source
from figureground.errors import UsageError


class Heard:
    """A progress that remembers its titles."""

    def __init__(self):
        self.titles = []

    @contextmanager
    def __call__(self, title, total):
        self.titles.append(title)
        yield lambda _: None


def take_in(model, manifest, progress=None, **asked):
    """With a clock that goes on by one second whenever somebody looks at it."""
    subject, config = as_subject(model), AuditConfig(cues=("background",), **asked)
    source, ticks = open_source(manifest, classes=subject.classes), count()
    return TakeIn(subject, source, config, Policy(), progress or Heard(), lambda: float(next(ticks)))


def test_planned_work_is_what_a_run_does(shortcut_run):
    cues = ("background", "corner_top_left", "sharpness")
    planned = Planner(Policy(), parts_of(cues), levels=2, masked=1.0).work(120)
    predictions = shortcut_run.predictions
    contrasts = predictions["intervention"].isin(["swap", "control", "same_level", "reference"])
    shown = predictions[contrasts & predictions["held"].isna()].groupby("cue").size().to_dict()
    assert {cue: planned.changed[cue] for cue in cues} == shown
    others = ~contrasts & (predictions["cue"] == "background")
    assert planned.changed[PLAIN] == pytest.approx(others.sum(), rel=0.2)
    stages = {stage.stage: stage.forward_equivalents for stage in shortcut_run.document.audit.cost.stages}
    assert 0.5 < MAP_ROWS * MAP_PASSES * 3 / stages["checks of the maps"] < 2, stages


def test_parts_of_grids_are_limited_as_the_policy_says():
    planner = Planner(Policy(), parts_of(["object_patch", "place", "background"]), levels=3, masked=0.5)
    work = planner.work(10_000)
    assert work.changed == {
        "object_patch": 500 * 9 * 3,
        "place": 120 * 64 * 3,
        "background": 5000 * (3 * 7 + 1),
        PLAIN: 200 * PLAIN_PASSES,
    }
    assert work.forwards == sum(work.changed.values())
    assert Planner(Policy(), parts_of(["border"]), levels=1, masked=1.0).work(50).forwards == 0


def test_the_most_that_fits_fits_and_one_more_does_not():
    planner, pace = Planner(Policy(), {"background": 1}, 2, 1.0), Pace(0.01, 0.02, {"background": 0.003})
    for seconds in (50.0, 100.0, 700.0):
        n = planner.fitting(pace, seconds, 10_000)
        assert 0 < n < 10_000
        assert pace.seconds(planner.work(n)) <= seconds < pace.seconds(planner.work(n + 1))
    assert planner.fitting(pace, 1e9, 300) == 300
    assert planner.fitting(pace, 1e-9, 300) == 0


def test_a_cue_that_was_not_timed_counts_as_the_slowest():
    planner = Planner(Policy(), {"background": 1, "tint": 1}, 2, 1.0)
    full = Pace(0, 0, {"background": 0.01, "tint": 0.01}).seconds(planner.work(50))
    assert Pace(0, 0, {"background": 0.01}).seconds(planner.work(50)) == pytest.approx(full)


def test_the_time_expected_is_told_before_the_images_are_read(shortcut_model, audit_manifest):
    heard = Heard()
    stage = take_in(shortcut_model, audit_manifest, heard)
    assert len(stage().usable) == 120
    # Reading, explaining and changing 20 images take one second each by this clock.
    each = 1 / WARM_UP
    seconds = each * (2 * 120 + 120 + MAP_ROWS * MAP_PASSES + 120 * 16 + 120 * PLAIN_PASSES)
    assert heard.titles[0].startswith(f"Expected: about {in_words(seconds)} to measure 120 images")
    assert "asks for 859 independent units, these are 120" in heard.titles[0]
    assert heard.titles[1] == "Reading images"


def test_a_time_chooses_the_sample_that_fits(shortcut_model, audit_manifest):
    heard = Heard()
    examples = take_in(shortcut_model, audit_manifest, heard, time="250s")()
    assert 40 <= len(examples.usable) < 120
    planner = Planner(Policy(), {"background": 1}, 2, 1.0)
    pace = Pace(1 / WARM_UP, 1 / WARM_UP, {"background": 1 / WARM_UP})
    assert len(examples.usable) == planner.fitting(pace, 250, 120)
    assert examples.frame["weight"].sum() == pytest.approx(120)
    assert len(take_in(shortcut_model, audit_manifest, time="2h")().usable) == 120


def test_a_time_too_short_for_any_verdict_is_refused_with_what_it_would_take(shortcut_model, audit_manifest):
    with pytest.raises(UsageError, match="room for 40, below which no verdict can be given") as caught:
        take_in(shortcut_model, audit_manifest, time="30s")()
    assert caught.value.exit_code == 2
    wanted = caught.value.fix.split()[1]
    assert len(take_in(shortcut_model, audit_manifest, time=wanted)().usable) >= 40


def test_a_warm_up_times_every_cue_that_an_audit_tests_by_default(shortcut_model, audit_manifest):
    subject = as_subject(shortcut_model)
    source, ticks = open_source(audit_manifest, classes=subject.classes), count()
    rows = Intake(subject.classes)(source, source.table()).usable.head(WARM_UP)
    reader = RowReader(source, subject.preprocess, subject.classes)
    pace = WarmUp(subject, reader, DEFAULT_CUES, lambda: float(next(ticks)))(rows_of(rows))
    assert tuple(pace.change) == DEFAULT_CUES
    assert set(pace.change.values()) == {pace.read} == {1 / WARM_UP}
    assert pace.beside == 0
    assert pace.check == pace.explain == 1 / WARM_UP
    asked = AuditConfig(methods=("saliency", "occlusion"))
    more = WarmUp(subject, reader, ("background",), lambda: float(next(ticks)), asked)(rows_of(rows))
    assert more.beside == 1 / BESIDE
    assert more.seconds(Work(0, 0, {}, 8)) == 8 / BESIDE
    gone = rows_of(rows.assign(position=10_000))
    assert WarmUp(subject, Unreadable(), DEFAULT_CUES, lambda: 0.0)(gone) is None


class Unreadable:
    def __call__(self, row):
        raise RowFault("image_unreadable", "for the test")


def test_a_warm_up_times_the_copy_that_the_audit_will_run_and_checks_the_model_as_given(audit_manifest):
    """The clock goes on by a second whenever the model as given is run, and by a hundredth when a copy is."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
    model, time = nn.Sequential(network, nn.Linear(64, 2)).eval(), [0.0]
    subject = as_subject(model, classes=("coat", "pullover"))

    def tick(module, _):
        if isinstance(module, nn.Linear):
            time[0] += 1.0 if module is model[1] else 0.01

    source = open_source(audit_manifest, classes=subject.classes)
    rows = Intake(subject.classes)(source, source.table()).usable.head(WARM_UP)
    reader = RowReader(source, subject.preprocess, subject.classes)
    hook = nn.modules.module.register_module_forward_pre_hook(tick)
    try:
        made = {
            optimise: WarmUp(subject, reader, ("background",), lambda: time[0], AuditConfig(optimise=optimise))(
                rows_of(rows)
            )
            for optimise in (True, False)
        }
    finally:
        hook.remove()
    assert made[True].check == made[False].check == made[False].explain
    assert made[True].explain == pytest.approx(made[False].explain / 100)
    assert made[True].change["background"] == pytest.approx(made[False].change["background"] / 100)
    work = Work(0, 10, {"background": 5}, checked=3)
    expected = 10 * made[True].explain + 3 * made[True].check + 5 * made[True].change["background"]
    assert made[True].seconds(work) == pytest.approx(expected)
