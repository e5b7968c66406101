"""Types do not change from run to run, and 63-bit ids are never rounded."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from figureground.audit.keeping import tables
from figureground.datasets.known_rows import TABLE_COLUMNS

LARGE = [2**53 + 1, 2**62 + 3, 2**63 - 1]


@pytest.mark.parametrize("name", tables.SCHEMAS)
def test_an_empty_frame_has_the_whole_schema(name):
    assert tables.conform(pd.DataFrame(), tables.SCHEMAS[name]).schema.equals(tables.SCHEMAS[name])


def test_columns_are_ordered_typed_and_completed():
    frame = pd.DataFrame({"site": ["01", None], "object_area": [0.5, np.nan], "row_id": LARGE[:2]})
    table = tables.conform(frame, tables.EXAMPLES)
    assert table.column_names == [*tables.EXAMPLES.names, "site"]
    assert table["row_id"].to_pylist() == LARGE[:2]
    assert table["object_area"].to_pylist() == [0.5, None]
    assert table["site"].to_pylist() == ["01", None]
    assert table["label"].null_count == 2
    assert table.schema.field("site").type == pa.string()


@pytest.mark.parametrize(
    "column",
    [
        pd.array([*LARGE, None], dtype="Int64"),
        np.array([*LARGE, None], dtype=object),
        np.array([*LARGE, float("nan")], dtype=object),
        np.array([*LARGE, pd.NA], dtype=object),
    ],
)
def test_ids_beside_nulls_are_exact(column):
    table = tables.conform(pd.DataFrame({"donor_row_id": column}), tables.PREDICTIONS)
    assert table["donor_row_id"].to_pylist() == [*LARGE, None]


@pytest.mark.parametrize("values", [[float(2**53)], [2.0**62, None], [-(2.0**60), 1.0]])
def test_float_ids_are_refused(values):
    with pytest.raises(ValueError, match="row_id holds ids as floats"):
        tables.conform(pd.DataFrame({"row_id": values}), tables.EXAMPLES)


def test_small_counts_may_be_floats_and_fractions_may_not():
    table = tables.conform(pd.DataFrame({"n": [3.0, np.nan]}), tables.TESTS)
    assert table["n"].to_pylist() == [3, None]
    with pytest.raises(ValueError, match="n holds fractions"):
        tables.conform(pd.DataFrame({"n": [3.5]}), tables.TESTS)


def test_lists_and_maps_keep_their_types():
    frame = pd.DataFrame({"logits": [[1.0, 2.0], None], "classes": [[0, 4], None]})
    table = tables.conform(frame, tables.PREDICTIONS)
    assert table["logits"].to_pylist() == [[1.0, 2.0], None]
    assert table["classes"].type == pa.list_(pa.int32())
    frame = pd.DataFrame({"region_shares": [[("border", 0.25)], None]})
    assert tables.conform(frame, tables.ATTRIBUTIONS)["region_shares"].to_pylist() == [
        [("border", 0.25)],
        None,
    ]


def test_a_wrong_type_is_no_silent_text():
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        tables.conform(pd.DataFrame({"label": [7]}), tables.EXAMPLES)


def test_reserved_names_are_those_of_the_examples():
    assert frozenset(TABLE_COLUMNS) == tables.RESERVED
