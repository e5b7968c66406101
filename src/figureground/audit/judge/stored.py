"""What judging needs beside the tables, as ``measured.json``: so that a stored run can be judged without its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
from pydantic import TypeAdapter

from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.outputs import declared_task
from figureground.audit.judge.again import Again
from figureground.audit.judge.evidenced import Evidenced
from figureground.audit.keeping.run_folder import read_table

#: Fields that are declared, or asked anew, rather than measured.
GIVEN = ("config", "policy", "today", "again")


@cache
def _kinds() -> Mapping[str, Any]:
    return get_type_hints(Evidenced)


def table_names() -> tuple[str, ...]:
    """Fields of the evidence that are tables of the run."""
    return tuple(item.name for item in fields(Evidenced) if _kinds()[item.name] is pd.DataFrame)


def measured(evidence: Evidenced) -> dict[str, Any]:
    """Everything that was measured and is in no table, as plain JSON values."""
    names = [item.name for item in fields(Evidenced) if item.name not in (*table_names(), *GIVEN)]
    return {name: TypeAdapter(_kinds()[name]).dump_python(getattr(evidence, name), mode="json") for name in names}


def evidence_of(
    path: Path, values: Mapping[str, Any], config: AuditConfig, policy: Policy, today: date, again: Again | None
) -> Evidenced:
    """The evidence of a stored run under a policy, from its tables and what :func:`measured` kept."""
    found: dict[str, Any] = {name: TypeAdapter(_kinds()[name]).validate_python(item) for name, item in values.items()}
    found |= {name: read_table(path, name) for name in table_names()}
    found["task"] = declared_task(found["task"], policy)
    return Evidenced(**found, config=config, policy=policy, today=today, again=again)
