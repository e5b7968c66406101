"""Attribution methods whose maps are reported, the sign of each that is, and what they need of a model."""

from __future__ import annotations

from typing import Literal

import pandas as pd

#: What can be had of a model: its layers, or the gradients of its answers, or no more than its answers.
Access = Literal["layers", "gradients", "answers"]
#: Method and sign; the second sign of Grad-CAM stays in ``attributions``.
REPORTED = (("saliency", "absolute"), ("gradcam", "positive"), ("occlusion", "positive"))
#: Their names.
METHODS = tuple(method for method, _ in REPORTED)


def reported_in(attributions: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Those that a run has maps of, in the order of the report; without any map the first two, as missing."""
    known = set(attributions["method"].unique()) if "method" in attributions else set()
    return tuple(key for key in REPORTED if key[0] in known) or REPORTED[:2]
