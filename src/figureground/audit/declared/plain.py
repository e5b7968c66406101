"""Names of the plain interventions and of the doses, shared by the half that changes pictures and the half that judges.

A plain intervention has no donor: it blanks, blurs, noises or shuffles a part of the picture, removes the object, or
leaves nothing but the object. Such changes move models that rely on nothing spurious too, so what they show
demonstrates nothing and clears nothing; it is described beside its control.
"""

from __future__ import annotations

#: What is done to a part of the picture; value of ``predictions.intervention``.
BLANK, BLUR, NOISE, SHUFFLE = "blank", "blur", "noise", "shuffle"
KINDS = (BLANK, BLUR, NOISE, SHUFFLE)
#: Noise whose total size (Euclidean norm), not its size per pixel, is the same wherever it acts.
NOISE_TOTAL = "noise_total"
#: The object taken out and its hole filled, and the object alone before one colour.
REMOVED, ONLY = "object_removed", "object_only"
INTERVENTIONS = (*KINDS, NOISE_TOTAL, REMOVED, ONLY)

#: Where a change acts; value of ``predictions.part``. ``EQUAL_AREA`` is the object, grown or eroded until it has as
#: many pixels as the background; ``ELSEWHERE`` has the background's shape, its hole where another picture's object is.
ON_BACKGROUND, ON_OBJECT, ON_WHOLE = "background", "object", "whole"
EQUAL_AREA, ELSEWHERE = "equal_area", "elsewhere"
#: Which hole is filled where the object is removed: its dilated mask keeps its outline, its box hides it.
DILATED, BOX = "dilated", "box"
#: The ground behind an object alone: its own background's mean colour (the blanked background), or that of all rows.
OWN_MEAN, POOL_MEAN = "own_mean", "pool_mean"

#: Standard deviation of the noise, on the scale from 0 to 1: three of the sizes of Moayeri et al., CVPR 2022.
NOISE_SIZES = (30 / 255, 90 / 255, 150 / 255)
#: The one of them that is set beside blanking, blurring and shuffling.
NOISE_SIZE = NOISE_SIZES[1]
#: Euclidean norm of the noise over the square root of the picture's number of values; their norms 50, 100 and 150 on
#: pictures of 224 by 224 pixels in three channels.
TOTAL_SIZES = (0.13, 0.26, 0.39)

#: A property of the whole picture, brought part of the way to the donor's value; and as much noise instead.
DOSE, DOSE_NULL = "dose", "dose_null"
#: Shares of the way from the recipient's value to the donor's.
DOSES = (0.5, 1.0)
DOSE_PLACES = (ON_WHOLE, ON_BACKGROUND, ON_OBJECT)

#: Rows of the ``tests`` table that describe plain interventions; see ``judge.plain`` and ``judge.plain_noise``.
ACCURACY_DROP, CHANGED, PROBABILITY_DROP = "plain_accuracy_drop", "plain_changed", "plain_probability_drop"
MEASURES = (ACCURACY_DROP, CHANGED, PROBABILITY_DROP)
#: Where the answer is a number: by how much it moves, instead of a probability.
VALUE_SHIFT = "plain_value_shift"
NUMBER_MEASURES = (ACCURACY_DROP, CHANGED, VALUE_SHIFT)
ALONE, ABOVE_CHANCE, LEAK = "plain_accuracy", "plain_above_chance", "silhouette_leak"
RFS = "relative_foreground_sensitivity"
LEFT_OUT = "plain_left_out"
PLAIN_TESTS = (*MEASURES, VALUE_SHIFT, ALONE, ABOVE_CHANCE, LEAK, RFS, LEFT_OUT)
#: Those of the doses; see ``judge.plain_doses``.
DOSE_RESPONSE, DOSE_CONTROL, DOSE_SPECIFIC, DOSE_STEP = "dose_response", "dose_null", "dose_specific", "dose_step"
DOSE_TESTS = (DOSE_RESPONSE, DOSE_CONTROL, DOSE_SPECIFIC, DOSE_STEP)
