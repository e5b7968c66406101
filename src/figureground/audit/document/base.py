"""What every part of ``audit.json`` is made of: a frozen model, a sentence, a number with its interval."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """Frozen; a field that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Part):
    """A sentence as a key and its arguments; the words are the reports' business."""

    key: str
    args: dict[str, Any] = Field(default_factory=dict)


class Estimate(Part):
    """A number with its n and interval; null with a reason where there is none."""

    n: int
    n_clusters: int
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    ci_level: float | None
    min_detectable: float | None = None
    certifiable: float | None = Field(None, description="margin within which an effect of 0 would be certified")
    status: str
    reason: str | None = None
