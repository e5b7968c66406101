"""The trained model's maps against those of several fresh networks: tables of images by networks, and the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from figureground.audit.measure.masked_maps import FloatArray, MaskedMaps
from figureground.audit.measure.trust.estimates import Estimated, correlation_of, crossed_mean, rank_correlations
from figureground.audit.measure.trust.lines import NO_MASKS, TOO_FEW, Line, at_most, not_run, reference
from figureground.audit.measure.trust.maps import Mapper, Maps
from figureground.audit.measure.trust.masks import density_ratios
from figureground.audit.measure.trust.randomised import complexity_rise, reinitialised, similarity, smoothed
from figureground.audit.measure.trust.sample import Sample

NAME = "randomised_weights"
#: Measures of one image under one fresh network, by the name of their line.
MEASURES = ("correlation", "similarity", "complexity_rise", "ldr", "background_share")
_UNCHANGED = "the maps hardly change with the weights"


@dataclass(frozen=True, eq=False)
class Against:
    """Measures by method and name, float64 ``[N, networks]``, and the parameters that had to be drawn."""

    tables: Mapping[str, Mapping[str, FloatArray]]
    drawn: tuple[str, ...]


def compare(
    mapper: Mapper, module: nn.Module, sample: Sample, first: Maps, seeds: Sequence[int], copies: int
) -> Against | str:
    """The maps of ``module`` against one fresh network per seed, or the reason why that is impossible.

    All networks explain the class that the trained one predicts. Maps are measured and dropped network by network.
    """
    trial = reinitialised(module, seeds[0])
    if trial is None:
        return "the model cannot be copied"
    if not trial.changed:
        return "the model has no parameters to re-initialise"
    target = first.predicted
    smooth = smoothed(mapper, module, sample, first, target, copies, seeds[0])
    found: dict[str, list[dict[str, FloatArray]]] = {method: [] for method in first.methods}
    drawn: tuple[str, ...] = ()
    for seed in seeds:
        fresh = reinitialised(module, seed)
        if fresh is None:  # it could be copied a moment ago
            return "the model cannot be copied"
        drawn = fresh.drawn
        other = _explained(mapper, fresh.module, sample, target, copies, seeds[0])
        for method in first.methods:
            found[method].append(_measures(method, sample, (first, smooth), other))
    return Against({m: {n: np.stack([one[n] for one in of], 1) for n in MEASURES} for m, of in found.items()}, drawn)


def _explained(
    mapper: Mapper, module: nn.Module, sample: Sample, target: Tensor, copies: int, seed: int
) -> tuple[Maps, Maps]:
    plain = mapper(module, sample.inputs, target)
    return plain.rescaled(), smoothed(mapper, module, sample, plain, target, copies, seed).rescaled()


def _measures(
    method: str, sample: Sample, trained: tuple[Maps, Maps], fresh: tuple[Maps, Maps]
) -> dict[str, FloatArray]:
    (own, own_smooth), (other, other_smooth) = trained, fresh
    usable, values, masks = own.usable(method), other.primary[method], sample.masks
    similar = {
        "correlation": np.abs(rank_correlations(own.native[method], other.native[method])),
        "similarity": similarity(own_smooth.primary[method], other_smooth.primary[method]),
        "complexity_rise": complexity_rise(own.primary[method], values),
    }
    share = MaskedMaps.of(values, masks).background_share
    found = {name: np.where(usable, numbers, np.nan) for name, numbers in similar.items()}
    return {**found, "ldr": density_ratios(values, masks, other.shape(method)), "background_share": share}


def randomised_lines(
    method: str, against: Against, own_ldr: FloatArray, limits: tuple[float, float], min_rows: int
) -> tuple[Line, ...]:
    """Lines of one method: two that decide (limits of correlation and similarity), and references.

    ``own_ldr`` are the trained model's density ratios, ``[N]``.
    """
    table = against.tables[method]
    decided = [
        _decided(method, name, crossed_mean(table[name]), limit, min_rows)
        for name, limit in zip(MEASURES[: len(limits)], limits, strict=True)
    ]
    rise = reference(method, f"{NAME}_complexity_rise", crossed_mean(table["complexity_rise"]))
    return (*decided, rise, *_ldr_lines(method, own_ldr, table["ldr"]))


def _decided(method: str, name: str, found: Estimated, limit: float, min_rows: int) -> Line:
    check = f"{NAME}_{name}"
    # Images too small for the window have no similarity at all; the correlation decides alone then.
    if name == "similarity" and found.n < min_rows:
        return not_run(method, check, TOO_FEW, found.n)
    return at_most(method, check, found, limit, _UNCHANGED)


def _ldr_lines(method: str, own: FloatArray, fresh: FloatArray) -> list[Line]:
    """Is the LDR of the trained model another one than that of fresh networks, and is it other images' too?"""
    names = [f"{NAME}_ldr_difference", f"{NAME}_ldr_correlation"]
    if not np.isfinite(own).any():
        return [not_run(method, name, NO_MASKS) for name in names]
    both = np.isfinite(fresh).any(axis=1) & np.isfinite(own)
    mean = np.full(own.shape, np.nan)
    mean[both] = np.nanmean(fresh[both], axis=1)
    found = crossed_mean(own[:, None] - fresh), correlation_of(own, mean)
    return [reference(method, name, one) for name, one in zip(names, found, strict=True)]


def random_references(against: Against, has_objects: bool) -> tuple[Line, ...]:
    """LDR and background share of the fresh networks' maps, under the names ``random_<method>``."""
    lines: list[Line] = []
    for method, table in against.tables.items():
        for what in ("ldr", "background_share"):
            name, check = f"random_{method}", f"reference_{what}"
            lines.append(
                reference(name, check, crossed_mean(table[what])) if has_objects else not_run(name, check, NO_MASKS)
            )
    return tuple(lines)
