"""The tables of a run folder: their columns, types and keys. All rooms meet here.

Every table is written through :func:`conform`, so that a column cannot change its type from run to run.
Counts are int64, estimates float64 (null where there is none, with a ``status`` and a ``reason``), names are strings.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

_TEXT, _INT, _REAL, _SHORT = pa.string(), pa.int64(), pa.float64(), pa.int32()

#: Key: row_id. One row for every row given, in sorted ``row_id``; the user's attributes follow as text columns. Of
#: multi-label data the columns ``label:NAME`` follow as they were written, and ``mask:NAME`` ("given" or empty); of
#: data that says who drew the masks, ``mask_source``.
EXAMPLES = pa.schema(
    [
        ("row_id", _INT),
        ("path", _TEXT),  # relative to the data root; null for sources without files
        ("label", _TEXT),  # multi-label data: the findings that are present, joined by " + "
        ("split", _TEXT),
        ("cluster", _TEXT),  # the independent unit; equals the row's own key where none was mapped
        ("environment", _TEXT),  # null where no such column was given
        ("object_area", _REAL),  # share of the valid pixels that the object covers, in [0, 1]; null without mask
        ("sha256", _TEXT),  # of the bytes that were read
        ("status", _TEXT),  # ok | quarantined | filtered
        ("reason", _TEXT),
        ("weight", _REAL),  # rows of the data that this one stands for: inverse rate of the draw; null if not drawn
        ("mask_status", _TEXT),  # ok, or why the object's mask gives nothing to measure; null for rows not used
        ("read_notes", _TEXT),  # what was done to picture and mask beyond decoding, joined by ;
        ("mask_sha256", _TEXT),  # of the size and pixels of the object's mask as it was understood; null without one
    ]
)

#: Key: row_id, method, sign, target, layer, mask_variant. Definitions in ``measure.shares``.
ATTRIBUTIONS = pa.schema(
    [
        ("row_id", _INT),
        ("method", _TEXT),  # saliency | gradcam | occlusion
        ("sign", _TEXT),  # absolute | positive
        ("target", _TEXT),  # predicted; multi-label data: the finding whose logit was explained
        ("layer", _TEXT),  # "input" for saliency
        ("mask_variant", _TEXT),  # object
        ("background_share", _REAL),
        ("background_area", _REAL),
        ("bleed_floor", _REAL),
        ("object_eccentricity", _REAL),  # of the object's place, see measure.shares; the same for every map of an image
        ("ldr", _REAL),
        ("auc_background", _REAL),
        ("rank_share_1", _REAL),
        ("rank_share_5", _REAL),
        ("ring_share", _REAL),
        ("far_share", _REAL),
        ("region_shares", pa.map_(_TEXT, _REAL)),  # named regions: border, corners, the user's own
        ("map_height", _SHORT),
        ("map_width", _SHORT),
        ("status", _TEXT),  # ok | degenerate | not_finite | those of examples.mask_status
        ("reason", _TEXT),
    ]
)

#: Key: row_id, cue, intervention, arm, part, held, dose, pass, donor_row_id.
#: The unchanged image is intervention "none".
PREDICTIONS = pa.schema(
    [
        ("row_id", _INT),
        ("cue", _TEXT),  # "none" for the unchanged image
        # none | swap | same_level | control | reference, and the plain ones: see audit.plain
        ("intervention", _TEXT),
        ("arm", _TEXT),  # the donor's level; "own" for none and reference
        ("part", _TEXT),  # cell of a grid, or where a plain intervention acts; null: all of the cue
        ("held", _TEXT),  # another cue that was kept at the recipient's own; null: none
        ("dose", _REAL),  # 1.0: all of it
        ("pass", _SHORT),
        ("donor_row_id", _INT),
        ("logits", pa.list_(pa.float32())),
        ("classes", pa.list_(_SHORT)),  # which classes the logits belong to; null: all, in order
        ("logsumexp", _REAL),  # over all classes; null for several findings
        ("predicted", _SHORT),  # index into subject.classes; null unless ok, and for several findings
        ("score", _REAL),  # the assay's reading of the cue on this picture; null where none is implanted
        ("status", _TEXT),  # ok | not_finite | why the picture is no test, such as no_visible_background
        ("reason", _TEXT),
    ]
)

#: Key: row_id. Which level each usable row stands for in the donor contrast, and in which half.
STRATA = pa.schema(
    [
        ("row_id", _INT),
        ("stratum", _TEXT),
        ("source", _TEXT),  # environment | label | prediction: the model's own answer to the background alone
        ("half", _TEXT),  # a | b: two disjoint halves of clusters
        ("subsample", pa.bool_()),  # whether the row takes part in the tests beyond the background
    ]
)

#: Key: row_id, cue. How a linear score, fitted on the other half of the clusters, reads the cue on the unchanged image.
SCORES = pa.schema(
    [
        ("row_id", _INT),
        ("cue", _TEXT),
        ("features", _TEXT),  # descriptors | penultimate: what the score is linear in
        ("level", _TEXT),  # the level that a high score speaks for
        ("score", _REAL),  # standardised: mean 0 and standard deviation 1 over the rows
    ]
)

_ESTIMATE = [
    ("n", _INT),  # what entered the estimate: images, or exchanges (images x passes) in a swap
    ("n_clusters", _INT),  # independent units among them
    ("estimate", _REAL),
    ("ci_low", _REAL),
    ("ci_high", _REAL),
    ("ci_level", _REAL),
    ("p_raw", _REAL),
    ("p_adjusted", _REAL),
    ("min_detectable", _REAL),  # smallest effect found with power 0.8 at this n, same unit as the estimate
    ("certifiable", _REAL),  # smallest margin within which an effect of 0 would be certified with power 0.8
    ("status", _TEXT),  # ok | too_small | absent | degenerate | not_estimable | not_tested
    ("reason", _TEXT),
]

#: Key: finding, attribute, level, label, measure, method, sign, cue. Absent levels are rows with n = 0.
SUBGROUPS = pa.schema(
    [
        ("finding", _TEXT),  # multi-label data: which finding; null otherwise
        ("attribute", _TEXT),  # "(all)" for the overall rows
        ("level", _TEXT),  # "(all)" for the overall rows; "(missing)" for empty cells
        ("label", _TEXT),  # "(all)", or one label: the crossing label x attribute
        # accuracy | background_share | background_area | bleed_floor | ldr | contrast, those of judge.measures,
        # those of judge.group_answers, and <measure>_pooled: crossings drawn towards each other, see judge.pooling
        ("measure", _TEXT),
        ("method", _TEXT),  # attribution measures only
        ("sign", _TEXT),
        ("cue", _TEXT),  # contrast, and what becomes of the answers
        ("class_name", _TEXT),  # performance with two classes: the one that counts as positive
        ("origin", _TEXT),  # declared | default | exploratory
        ("n_rows", _INT),  # usable rows in the subgroup, whether or not they could enter the estimate
        *_ESTIMATE,
    ]
)

#: Key: finding, cue, test, scale, class_name, arm, reference, part, held, dose, method, attribute.
TESTS = pa.schema(
    [
        ("finding", _TEXT),  # multi-label data: which finding; null otherwise
        ("cue", _TEXT),
        ("test", _TEXT),  # see judge.contrast, plain, plain_doses, performance and judge.group_tests for the list
        ("scale", _TEXT),  # decision (share of images) | probability | log_odds, or the measure's own
        ("class_name", _TEXT),
        ("arm", _TEXT),  # a level, or the kind of a plain intervention
        ("reference", _TEXT),  # the arm that is subtracted; of a plain intervention the part
        ("part", _TEXT),  # cell of a grid, or where a plain intervention acts
        ("held", _TEXT),  # the cue that was kept at the recipient's own
        ("dose", _REAL),  # share of the way to the donor's value, or size of the noise; null: does not apply
        ("method", _TEXT),  # attribution measures only
        ("attribute", _TEXT),  # tests between groups: the attribute whose levels are arm and reference
        ("n_donor_clusters", _INT),
        ("simultaneous", pa.bool_()),  # whether the interval covers the whole family at once
        *_ESTIMATE,
    ]
)

#: Key: cue, finding, row_id, rule, rank, panel. Older runs have neither cue nor finding: there it is the background.
GALLERY = pa.schema(
    [
        ("row_id", _INT),
        ("rule", _TEXT),  # swap_changed | swap_random_unchanged | worst | random
        ("rank", _SHORT),  # 1 = first
        ("panel", _TEXT),  # original | a method | own_level | other_level
        ("caption_level", _TEXT),  # swap panels: the level whose value of the cue it has
        ("predicted", _TEXT),  # class name under this panel
        ("probability", _REAL),  # of the predicted class, in [0, 1]; null where the answer is a number
        ("number", _REAL),  # the answer where it is a number, in its own unit
        ("label", _TEXT),
        ("background_share", _REAL),  # panels of a method
        ("donor_row_id", _INT),
        ("asset", _TEXT),  # SHA-256 of assets/<asset>.webp
        ("cue", _TEXT),  # swap panels: what was exchanged
        ("finding", _TEXT),  # swap panels of multi-label data
    ]
)

#: Key: attribute, level, label, method. Mean attribution of the images of a subgroup, see measure.mean_maps.
MEAN_MAPS = pa.schema(
    [
        ("attribute", _TEXT),
        ("level", _TEXT),
        ("label", _TEXT),
        ("method", _TEXT),
        ("sign", _TEXT),
        ("n", _INT),  # images whose maps were averaged
        ("n_clusters", _INT),
        ("height", _SHORT),
        ("width", _SHORT),
        ("values", pa.list_(pa.float32())),  # row by row; each image's map sums to 1, and so does the mean
        ("row_ids", pa.list_(_INT)),  # whose maps they are; null in what is handed over
    ]
)

SCHEMAS: Mapping[str, pa.Schema] = {
    "examples": EXAMPLES,
    "attributions": ATTRIBUTIONS,
    "predictions": PREDICTIONS,
    "strata": STRATA,
    "scores": SCORES,
    "subgroups": SUBGROUPS,
    "tests": TESTS,
    "gallery": GALLERY,
    "mean_maps": MEAN_MAPS,
}

#: Names that an attribute may not take in ``examples``.
RESERVED = frozenset(EXAMPLES.names)

#: Floats hold every integer below this.
_EXACT = 2**53

MISSING = "(missing)"
ALL = "(all)"


def conform(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Arrow table with exactly the schema's columns and types, then the frame's other columns as text.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns missing from it become null; columns beyond the schema are kept as strings, in their order.
    schema : pyarrow.Schema
        One of :data:`SCHEMAS`.
    """
    extra = [pa.field(name, _TEXT) for name in frame.columns if name not in schema.names]
    full = pa.schema([*schema, *extra])
    columns = [_column(frame, field) for field in full]
    return pa.Table.from_arrays(columns, schema=full)


def _column(frame: pd.DataFrame, field: pa.Field) -> pa.Array:
    if field.name not in frame.columns:
        return pa.nulls(len(frame), field.type)
    values = [None if _is_null(value) else value for value in frame[field.name].tolist()]
    if field.type == _INT and any(isinstance(value, float) and abs(value) >= _EXACT for value in values):
        raise ValueError(
            f"column {field.name} holds ids as floats, which rounds them; build it with dtype object or Int64"
        )
    if pa.types.is_integer(field.type) and any(isinstance(value, float) and not value.is_integer() for value in values):
        raise ValueError(f"column {field.name} holds fractions, which pyarrow would cut off")
    return pa.array(values, type=field.type)


def _is_null(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)
