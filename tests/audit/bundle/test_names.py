"""Names of files are cut from paths as pathlib cuts them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.bundle.secrets import _paths


@given(st.lists(st.text("ab./ ", max_size=9), max_size=4))
def test_names_and_stems_are_those_of_pathlib(paths: list[str]) -> None:
    whole = [PurePosixPath(path) for path in paths]
    expected = [*paths, *(path.name for path in whole), *(path.stem for path in whole)]
    assert _paths(pd.Series(paths, dtype="object")) == expected
