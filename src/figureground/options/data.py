"""Options about the data: the table, what is joined to it, and which of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from operator import not_
from pathlib import Path
from typing import Annotated

import typer

from figureground.options.groups import Given, OptionGroup, Some, To
from figureground.options.texts import as_mapping, as_suppliers


@dataclass(frozen=True)
class Table(OptionGroup):
    """How the table is read, and what is joined to it."""

    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="Map a column: ROLE=NAME, for example label=diagnosis. Repeatable."),
        To("columns", as_mapping),
    ] = None
    attributes: Annotated[
        Path | None,
        typer.Option("--attributes", help="Table (CSV or Parquet) of what is known of each patient, site or device."),
    ] = None
    on: Annotated[str | None, typer.Option("--on", help="Column by which --attributes is joined to the data.")] = None
    dedupe: Annotated[bool, typer.Option("--dedupe", help="Leave out rows that repeat another one in every cell.")] = (
        False
    )


@dataclass(frozen=True)
class Beside(OptionGroup):
    """What there is beside the table, or is not."""

    no_labels: Annotated[
        bool,
        typer.Option(
            "--no-labels",
            help="The data has none: groups go by what the model predicts, and accuracy is not available.",
        ),
        To("labels", not_),
    ] = False
    train: Annotated[
        Path | None,
        typer.Option(
            "--train",
            help="What the model was trained on: units, pictures and near-duplicates that both have are counted.",
        ),
    ] = None
    supplied_by: Annotated[
        list[str] | None,
        typer.Option(
            "--supplied-by", help="Who supplied an input: data=client, policy=auditor, model=tool. Repeatable."
        ),
        To("supplied_by", as_suppliers),
    ] = None


@dataclass(frozen=True)
class Rows(OptionGroup):
    """Where the files may lie, and which rows are taken."""

    root: Annotated[
        Path | None,
        typer.Option("--root", help="Data root; nothing outside it is opened. Default: the manifest's folder."),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="Rows of this split. Default: test (audit) or train (train), where the column exists."
        ),
    ] = None


OfTable = Annotated[Given, Some(Table)]
OfBeside = Annotated[Given, Some(Beside)]
OfRows = Annotated[Given, Some(Rows)]
