"""Attribution methods whose maps are reported, and the sign of each that is."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from figureground.audit.methods.specs import BY_NAME, EVIDENCE
from figureground.audit.methods.specs import Access as Access

#: Method and sign; the second sign of signed maps stays in ``attributions``.
REPORTED = tuple((name, BY_NAME[name].signs[0]) for name in EVIDENCE)
#: Their names.
METHODS = EVIDENCE
#: What is looked for where a run has no map at all.
_EXPECTED = (("saliency", "absolute"), ("gradcam", "positive"))


def first_signs(keys: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Of each method the first key, in the order given."""
    found: dict[str, tuple[str, str]] = {}
    for key in keys:
        found.setdefault(key[0], key)
    return tuple(found.values())


def reported_in(attributions: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Those that a run has maps of, a caller's own last; without any map saliency and Grad-CAM, as missing.

    Of a caller's own method the first sign of the table counts.

    Examples
    --------
    >>> reported_in(pd.DataFrame({"method": ["mine", "saliency"], "sign": ["positive", "absolute"]}))
    (('saliency', 'absolute'), ('mine', 'positive'))
    """
    if "method" not in attributions:
        return _EXPECTED
    found = attributions[["method", "sign"]].drop_duplicates("method")
    own = tuple((str(m), str(s)) for m, s in found.itertuples(index=False) if m not in BY_NAME)
    known = set(found["method"])
    return (*(key for key in REPORTED if key[0] in known), *own) or _EXPECTED
