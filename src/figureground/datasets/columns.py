"""Names and numbers that need no torch: the columns of a data table and the values of a mask."""

from __future__ import annotations

#: Mask values: ground, object, and pixels that belong to neither (not counted anywhere).
GROUND, OBJECT, IGNORE = 0, 1, 255

#: A shard is this many rows in sorted ``row_id``; seeds and files do not depend on batch size or ranks.
SHARD_ROWS = 512

#: Columns with a meaning; every other column is an attribute.
ROLES = ("image", "label", "mask", "mask_source", "environment", "split", "cluster", "key")
REGION_PREFIX = "region:"
#: Multi-label data: one column of labels, and possibly one of masks, for each finding.
LABEL_PREFIX, MASK_PREFIX = "label:", "mask:"
PREFIXES = (REGION_PREFIX, LABEL_PREFIX, MASK_PREFIX)
#: The number that a label stands for, where the answer is one; stored beside the class in which it lies.
NUMBER = "label_number"
#: What the cells of a finding mean; an empty one says nothing about it.
PRESENT, ABSENT, UNCERTAIN = "1", "0", "-1"

#: Why a row's mask gives nothing to measure, beside what was wrong with its file: there is none, or no object in it.
MASK_ABSENT, NO_OBJECT, CROPPED_OUT = "mask_absent", "no_object", "object_cropped_out"
#: Every status of a mask. A batch carries its place in this list.
MASK_STATUSES = (
    "ok",
    MASK_ABSENT,
    NO_OBJECT,
    CROPPED_OUT,
    "object_absent",
    "size_mismatch",
    "mask_missing",
    "mask_unreadable",
    "mask_values",
    "mask_too_large",
    "mask_frames",
    "path_escape",
)


def names_mask(column: str) -> bool:
    """Whether a column names masks of the object, one for all or one of a finding."""
    return column == "mask" or column.startswith(MASK_PREFIX)


def names_file(column: str) -> bool:
    """Whether the cells of a column name files, or its values are pixels."""
    return column == "image" or names_mask(column) or column.startswith(REGION_PREFIX)
