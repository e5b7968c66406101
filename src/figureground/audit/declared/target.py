"""A number instead of a class: what it is called, in which unit, and which difference matters."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field


class Target(BaseModel):
    """What the number means that a model gives for each image: ``[target]`` of a policy.

    Effects are then judged in the number's own unit.

    Examples
    --------
    >>> age = Target(name="age", unit="years", cut=60, material=5, negligible=2)
    >>> age.classes
    ('age below 60 years', 'age 60 years or more')
    >>> age.number("61.5"), age.number("unknown")
    (61.5, None)
    >>> age.side(60)
    'age 60 years or more'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, description="what the number is, such as age")
    unit: str = Field("", description="its unit, such as years; may be empty")
    cut: float = Field(
        allow_inf_nan=False,
        description="the value from which it counts as high: it divides the images where a question has two sides",
    )
    material: float = Field(gt=0, allow_inf_nan=False, description="an effect this large matters [the unit]")
    negligible: float = Field(gt=0, allow_inf_nan=False, description="an effect this small does not [the unit]")
    values: dict[str, float] = Field(
        default_factory=dict, description="the number of each label, where labels are words and no numbers"
    )

    @property
    def classes(self) -> tuple[str, str]:
        """Names of the two sides of the cut, the lower one first."""
        at = self.written(self.cut)
        return f"{self.name} below {at}", f"{self.name} {at} or more"

    def written(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:g} {self.unit}".strip()

    def number(self, label: str) -> float | None:
        """The number that a label stands for; None where it stands for none."""
        if self.values:
            return self.values.get(label)
        try:
            value = float(label)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def side(self, value: float) -> str:
        """Name of the side of the cut on which a value lies."""
        return self.classes[value >= self.cut]
