"""figureground: is your classifier looking at the figure, or at the ground?

Public names are loaded when first used, so that ``import figureground`` and ``figureground --help`` stay fast.

Examples
--------
>>> import figureground as fg
>>> "run_audit" in dir(fg)
True
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "AuditCallback": "figureground.callback",
    "AuditConfig": "figureground.audit.declared.config",
    "AuditResult": "figureground.api",
    "Classifier": "figureground.audit.classify.module",
    "Planted": "figureground.datasets.planted",
    "Policy": "figureground.audit.declared.config",
    "OwnTransform": "figureground.datasets.own_transform",
    "Preprocess": "figureground.datasets.transforms",
    "SinglePass": "figureground.audit.explain.single_pass",
    "background_area": "figureground.audit.measure.shares",
    "background_auc": "figureground.audit.measure.shares",
    "background_rank_share": "figureground.audit.measure.shares",
    "background_share": "figureground.audit.measure.shares",
    "bleed_floor": "figureground.audit.measure.shares",
    "bundle_run": "figureground.handing",
    "check_inputs": "figureground.inputs",
    "compare": "figureground.comparing",
    "compare_runs": "figureground.comparing",
    "explain": "figureground.explained",
    "judge_again": "figureground.api",
    "load_run": "figureground.api",
    "log_density_ratio": "figureground.audit.measure.shares",
    "merge_parts": "figureground.audit.dividing.merging",
    "purge_rows": "figureground.handing",
    "recognise_weights": "figureground.inputs",
    "render_formats": "figureground.api",
    "render_report": "figureground.api",
    "run_audit": "figureground.api",
    "run_demo": "figureground.demo",
    "seal_policy": "figureground.sealing",
    "train_classifier": "figureground.training",
    "verify_run": "figureground.handing",
}

__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'figureground' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
