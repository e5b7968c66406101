"""The first stage of an audit: warm up, say how long it will take, draw the rows, read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from time import perf_counter

import pandas as pd

from figureground.audit.classify.subject import Subject
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.cues import default_cues
from figureground.audit.explain.own import OwnMethod
from figureground.audit.judge.grouping import check_groups
from figureground.audit.progress import Progress, silent
from figureground.audit.stages.pace import Pace, Planner, WarmUp, in_words, parts_of, some_rows
from figureground.audit.stages.sampling import SamplePlan, least_units, needed_units, seconds_of
from figureground.datasets.columns import REGION_PREFIX
from figureground.datasets.datamodule import RowReader, rows_of
from figureground.datasets.intake import Examples, Intake
from figureground.datasets.known_rows import attribute_columns
from figureground.datasets.reading import Reading, Reads
from figureground.datasets.sampling import Drawn
from figureground.datasets.sources import Source
from figureground.errors import UsageError


@dataclass(frozen=True)
class TakeIn:
    """Chooses and reads the rows of an audit.

    Attributes
    ----------
    subject : Subject
    source : Source
    config : AuditConfig
    policy : Policy
    progress : Progress
        Told the time expected, before the long part starts.
    timer : callable
        Seconds from any origin.
    reading : callable
        Reads files in this process, or in others.
    remember : callable
        Given a name and a way to compute a number: the number, or the one that an earlier start of the run computed.
    own : tuple of OwnMethod
        Attribution methods of the caller's.
    """

    subject: Subject = field(repr=False)
    source: Source = field(repr=False)
    config: AuditConfig
    policy: Policy
    progress: Progress = silent
    timer: Callable[[], float] = perf_counter
    reading: Reads = Reading()  # noqa: RUF009  (frozen)
    remember: Callable[[str, Callable[[], int]], int] = lambda _name, compute: compute()
    own: tuple[OwnMethod, ...] = ()

    def __call__(self) -> Examples:
        """Read the rows that were drawn; raises :class:`UsageError` where the time asked for is too short."""
        table = self.source.table()
        attributes = attribute_columns(table)
        intake = Intake(
            self.subject.classes,
            self.config.split,
            several=self.subject.task.several,
            uncertain=self.policy.uncertain,
            numbered=self.policy.target,
            preprocess=self.subject.preprocess,
            dedupe=self.config.dedupe,
            reading=self.reading,
        )
        rows = intake.candidates(table, self.source.where)
        check_groups(rows, ["environment", *attributes], self.config.by)  # told before hours of work
        regions = tuple(n.removeprefix(REGION_PREFIX) for n in table.columns if n.startswith(REGION_PREFIX))
        planner, pace = self._planner(rows, regions), self._pace(rows, regions)
        fits = None
        if pace is not None and self.config.time is not None:
            fits = self.remember("fits", partial(self._fits, rows, planner, pace))
        drawn = SamplePlan(self.config, self.policy, attributes, fits)(rows)
        if pace is not None:
            self._tell(rows, drawn, pace.seconds(planner.work(int(drawn.weight.notna().sum()))))
        with self.progress("Reading images", len(table)) as advance:
            return replace(intake, sample=lambda _: drawn)(self.source, table, advance)

    def _planner(self, rows: pd.DataFrame, regions: tuple[str, ...]) -> Planner:
        cues = self.config.cues or default_cues(regions)
        levels = rows["environment"] if rows["environment"].notna().any() else rows["label"]
        return Planner(self.policy, parts_of(cues), levels.nunique(), float(rows["masked"].mean()))

    def _pace(self, rows: pd.DataFrame, regions: tuple[str, ...]) -> Pace | None:
        """The pace; None where nobody would be told and nothing depends on it, or where nothing can be run."""
        if self.progress is silent and self.config.time is None:
            return None
        known = rows[rows["label"].notna()]
        known = known if "present" in known else known[known["label"].isin(list(self.subject.classes))]
        tried = known.loc[list(some_rows(known.index, self.config.seed))]
        reader = RowReader(self.source, self.subject.preprocess, self.subject.classes, regions)
        cues = tuple(self.config.cues or default_cues(regions))
        return WarmUp(self.subject, reader, cues, self.timer, self.config, self.own)(rows_of(tried))

    def _fits(self, rows: pd.DataFrame, planner: Planner, pace: Pace) -> int:
        """Rows that fit into the time asked for."""
        assert self.config.time is not None  # noqa: S101  (the caller asks only then)
        fits = planner.fitting(pace, seconds_of(self.config.time), len(rows))
        units = min(least_units(rows, self.policy), rows["cluster"].nunique())
        least = ceil(units * len(rows) / rows["cluster"].nunique())
        if fits < least:
            wanted = ceil(1.1 * pace.seconds(planner.work(least)))
            raise UsageError(
                "TIME",
                "time",
                found=f"{self.config.time}, in which {fits} images can be measured",
                expected=f"room for {least}, below which no verdict can be given ({units} independent units)",
                fix=f"--time {wanted}s or more, or fewer cues: --cue background",
            )
        return fits

    def _tell(self, rows: pd.DataFrame, drawn: Drawn, seconds: float) -> None:
        units = rows.loc[drawn.weight.notna(), "cluster"].nunique()
        needed = needed_units(rows, self.policy)
        short = f"; the policy's power asks for {needed} independent units, these are {units}" if units < needed else ""
        text = f"Expected: about {in_words(seconds)} to measure {int(drawn.weight.notna().sum())} images{short}"
        with self.progress(text, 0):
            pass
