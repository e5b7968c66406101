"""What time it is, in UTC: that of ``SOURCE_DATE_EPOCH`` where it is set, so that a run can be repeated to the byte."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime


def now() -> datetime:
    """The moment, to the second."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.replace(microsecond=0)


def stamp() -> str:
    """The moment as ISO 8601, such as ``2026-11-23T02:30:00Z``."""
    return now().isoformat().replace("+00:00", "Z")


def today() -> date:
    """The day by which decisions expire."""
    return now().date()
