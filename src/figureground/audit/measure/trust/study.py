"""The checks of one sample, in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.measure.masked_maps import ObjectMasks
from figureground.audit.measure.trust import against, agreement, layers, masks, references, repeatability
from figureground.audit.measure.trust.limits import Limits
from figureground.audit.measure.trust.lines import TOO_FEW, Line, Outcome, degenerate, not_run
from figureground.audit.measure.trust.maps import EXPLAIN_COST, FloatMaps, Mapper, Maps, points_somewhere
from figureground.audit.measure.trust.pairs import Method
from figureground.audit.measure.trust.sample import Sample
from figureground.errors import SubjectError

#: The class activation method that the second layer is about.
CAM = "gradcam"
#: Maps from answers alone, beside which there is no second method.
OCCLUSION = "occlusion"
_COVERING = (OCCLUSION, "feature_ablation")
_SAME_GRADIENT = ("saliency", "input_x_gradient")


@dataclass(frozen=True, eq=False)
class Study:
    """A sample, its maps under the trained model, and what more is needed to check them."""

    module: nn.Module
    sample: Sample
    first: Maps
    mapper: Mapper
    layer: CamLayer | None
    seed: int
    limits: Limits

    def outcomes(self) -> list[Outcome]:
        """Every check, per method where it is one of a method; references come as an outcome named ``references``."""
        compared = self._compared()
        found = [self._randomised(method, compared) for method in self.first.methods]
        found += self._repeated()
        found.append(self._agreement())
        found += [self._masks(method) for method in self.first.methods]
        return [*found, self._second_layer(), self._references(compared)]

    def of_methods(self) -> list[Outcome]:
        """The checks of single methods, without what compares methods, layers or reference maps."""
        compared = self._compared()
        found = [self._randomised(method, compared) for method in self.first.methods]
        return [*found, *self._repeated(), *(self._masks(method) for method in self.first.methods)]

    def compared(self) -> dict[str, Method]:
        """Maps of each method, to be set beside those of others."""
        rows = self.sample.row_id
        return {m: Method.of(rows, self._primary(m), self.first.shape(m)) for m in self.first.methods}

    def _rate(self, method: str) -> float:
        """Share of the images whose map is degenerate."""
        return float(1 - self.first.usable(method).mean())

    def _degenerate(self, method: str, check: str) -> Line | None:
        rate = self._rate(method)
        if rate <= self.limits.max_degenerate:
            return None
        return degenerate(method, check, rate, len(self.sample), self.limits.max_degenerate)

    def _compared(self) -> against.Against | str:
        if len(self.sample) < self.limits.min_rows:
            return TOO_FEW
        if all(self._rate(method) > self.limits.max_degenerate for method in self.first.methods):
            return "every method is degenerate"
        draws = np.random.SeedSequence([self.seed, 1]).generate_state(self.limits.reinitialisations)
        copies = self.limits.noisy_copies
        return against.compare(self.mapper, self.module, self.sample, self.first, draws.tolist(), copies)

    def _randomised(self, method: str, compared: against.Against | str) -> Outcome:
        blank, name = self._degenerate(method, against.NAME), f"{against.NAME}_{method}"
        if blank is not None:
            return Outcome(name, method, (blank,))
        if isinstance(compared, str):
            return Outcome(name, method, (not_run(method, against.NAME, compared, len(self.sample)),))
        own = masks.density_ratios(self._primary(method), self.sample.masks, self.first.shape(method))
        limits = (self.limits.max_correlation, self.limits.max_similarity)
        lines = against.randomised_lines(method, compared, own, limits, self.limits.min_rows)
        return Outcome(name, method, lines)

    def _repeated(self) -> list[Outcome]:
        others = repeatability.repeated(self.mapper, self.module, self.sample)
        found = []
        for method in self.first.methods:
            blank = self._degenerate(method, repeatability.NAME)
            lines = (
                (blank,)
                if blank
                else repeatability.repeatability(method, self.first, others, self.limits.max_difference)
            )
            found.append(Outcome(f"{repeatability.NAME}_{method}", method, lines))
        return found

    def _agreement(self) -> Outcome:
        blanks = [self._degenerate(method, agreement.NAME) for method in self.first.methods]
        found = tuple(line for line in blanks if line is not None)
        return Outcome(agreement.NAME, "", found or self._families())

    def _families(self) -> tuple[Line, ...]:
        methods, limits = self.first.methods, self.limits
        size = self.sample.masks.shape[1:]
        fine = next((method for method in methods if self.first.shape(method) == size), methods[0])
        # Beside a gradient another map of the same gradient would say nothing new.
        other = next((method for method in methods if method != fine and method not in _SAME_GRADIENT), None)
        if other is None and fine in _COVERING:
            return (not_run("", agreement.NAME, f"{fine.replace('_', ' ')} is the only method", len(self.sample)),)
        if other is None:
            return self._occluded(fine)
        pair = (self._primary(fine), self._primary(other))
        shapes = (self.first.shape(fine), self.first.shape(other))
        return agreement.agreement(
            f"{fine}/{other}", pair, shapes, self.sample.masks, limits.min_agreement, limits.min_rows
        )

    def _occluded(self, method: str) -> tuple[Line, ...]:
        few = slice(0, agreement.OCCLUSION_ROWS)
        maps, spent = agreement.occlusion_maps(self.module, self.sample.inputs[few], self.first.predicted[few])
        self.mapper.spent += spent
        rate, limits = float(1 - points_somewhere(maps).mean()), self.limits
        if rate > limits.max_degenerate:
            return (degenerate("occlusion", agreement.NAME, rate, len(maps), limits.max_degenerate),)
        cells = (agreement.OCCLUSION_CELLS, agreement.OCCLUSION_CELLS)
        pair, shapes = (self._primary(method)[few], maps), (self.first.shape(method), cells)
        return agreement.agreement(
            f"{method}/occlusion", pair, shapes, self._masks_of(few), limits.min_agreement, limits.min_rows
        )

    def _masks_of(self, rows: slice) -> ObjectMasks:
        return ObjectMasks(self.sample.masks.foreground[rows], self.sample.masks.background[rows])

    def _masks(self, method: str) -> Outcome:
        blank = self._degenerate(method, masks.NAME)
        lines = (blank,) if blank else masks.mask_sensitivity(
            method, self._primary(method), self.sample.masks, self.first.shape(method), self.limits.min_rows
        )  # fmt: skip
        return Outcome(f"{masks.NAME}_{method}", method, lines)

    def _second_layer(self) -> Outcome:
        name, explainer = layers.NAME, self.mapper.explainer
        if self.layer is None or not isinstance(explainer, SinglePass):
            return Outcome(name, CAM, (not_run(CAM, name, "no class activation map that can look elsewhere"),))
        blank = self._degenerate(CAM, name)
        if blank is not None:
            return Outcome(name, CAM, (blank,))
        layer = layers.earlier_layer(self.module, self.layer, self.sample.inputs)
        self.mapper.spent += EXPLAIN_COST  # of the one image by which it was looked for
        if layer is None:
            return Outcome(name, CAM, (not_run(CAM, name, "no second layer that would do"),))
        return Outcome(name, CAM, self._at(layer, explainer), compared_with=(self.layer.described, layer.described))

    def _at(self, layer: CamLayer, explainer: SinglePass) -> tuple[Line, ...]:
        """Grad-CAM at another layer beside that of the audit."""
        name, limits = layers.NAME, self.limits
        try:
            there = replace(explainer, layer=layer.name, layout=layer.layout)
            other = self.mapper(self.module, self.sample.inputs, self.first.predicted, explainer=there)
        except SubjectError as error:
            return (not_run(CAM, name, f"{layer.name}: {error.code}"),)
        usable = other.usable(CAM)
        rate = float(1 - usable.mean())
        if rate > limits.max_degenerate:
            return (degenerate(CAM, name, rate, len(self.sample), limits.max_degenerate),)
        pair = (self._primary(CAM), np.where(usable[:, None, None], other.primary[CAM], np.float32(np.nan)))
        shapes = (self.first.shape(CAM), other.shape(CAM))
        return layers.compare_layers(CAM, pair, shapes, self.sample.masks, limits)

    def _references(self, compared: against.Against | str) -> Outcome:
        given = self.sample.masks
        size = (given.shape[1], given.shape[2])
        named = {name: (maps, size) for name, maps in references.reference_maps(self.sample.images).items()}
        own = {m: (self._primary(m), self.first.shape(m)) for m in self.first.methods}
        lines = references.reference_lines({**named, **own}, given)
        if not isinstance(compared, str):
            lines += against.random_references(compared, bool((given.n_object > 0).any()))
            lines += (_drawn(compared.drawn),)
        return Outcome("references", "", lines)

    def _primary(self, method: str) -> FloatMaps:
        """Maps of a method, NaN where they are degenerate: what is not usable enters no number."""
        usable = self.first.usable(method)[:, None, None]
        return np.where(usable, self.first.primary[method], np.float32(np.nan))


def _drawn(names: tuple[str, ...]) -> Line:
    """How many parameters no ``reset_parameters`` reached, the first few by name."""
    told, nothing = ", ".join(names[:5]) or None, np.nan
    return Line("model", "reference_drawn_parameters", len(names), nothing, nothing, 0, nothing, "reference", told)
