"""What is asked of a method beside the single pass: whose logit, on which images, with which settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from figureground.audit.explain.anatomy import Anatomies, Anatomy
from figureground.audit.explain.explanation import Explanation
from figureground.audit.explain.layers import model_dtype
from figureground.audit.explain.single_pass import checked_logits
from figureground.audit.methods.options import MethodOptions
from figureground.errors import UsageError


@dataclass(frozen=True, eq=False)
class Asked:
    """A batch of ``B`` images and what is known of it.

    Attributes
    ----------
    model : nn.Module
    pixels : Tensor
        ``[B, C, H, W]``, normalised, detached; float32 or wider, so that sums lose nothing in half precision.
    base : Explanation
        From the single pass: logits, the target, and Grad-CAM where a layer is looked at.
    options : MethodOptions
    seed : int
    anatomies : Anatomies
    """

    model: nn.Module
    pixels: Tensor
    base: Explanation
    options: MethodOptions
    seed: int
    anatomies: Anatomies

    @classmethod
    def of(
        cls, model: nn.Module, inputs: Tensor, base: Explanation, options: MethodOptions, seed: int, seen: Anatomies
    ) -> Asked:
        """The same images as the explainer was given, as a copy that is no tensor of inference mode."""
        wide = torch.promote_types(model_dtype(model), torch.float32)
        return cls(model, inputs.detach().to(wide, copy=True), base, options, seed, seen)

    @property
    def target(self) -> Tensor:
        """int64 ``[B]``."""
        return self.base.target

    @property
    def baseline(self) -> Tensor:
        """What stands for nothing, ``[B, C, H, W]``."""
        if self.options.baseline == "zero":
            return torch.zeros_like(self.pixels)
        return self.pixels.mean(dim=(2, 3), keepdim=True).expand_as(self.pixels).contiguous()

    @property
    def anatomy(self) -> Anatomy:
        """Of the model, at this size of image."""
        return self.anatomies(self.model, self.pixels, self.answer)

    @property
    def at_once(self) -> int:
        """How many images are evaluated together at most."""
        return self.anatomy.images_in(self.options.budget_mb)

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits ``[N, K]`` in the dtype of ``pixels``; a model may work in place, on a copy then."""
        shown = pixels.to(model_dtype(self.model), copy=True)
        return checked_logits(self.model(shown), len(pixels)).to(pixels.dtype)

    def parts(self) -> Iterator[slice]:
        """The batch in parts of at most :attr:`at_once` images."""
        size = self.at_once
        return (slice(start, min(start + size, len(self.pixels))) for start in range(0, len(self.pixels), size))


def cannot(method: str, found: str, expected: str, instead: str) -> UsageError:
    """The refusal of a method on a model for which it is not right."""
    return UsageError("METHOD_MODEL", f"method {method}", found=found, expected=expected, fix=f"--methods {instead}")
