"""Data sets: what may stand under `data` in an experiment."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Section, Seed


class SpiralData(Section):
    """Two noisy spirals, one per class."""

    kind: Literal["spirals"]
    train_points_per_class: Count = Field(description="points of each class to learn from")
    test_points_per_class: Count = Field(description="points of each class the accuracy is measured on")
    radius_min: Positive = Field(description="smallest distance from the origin")
    radius_max: Positive = Field(description="largest distance from the origin")
    angle_per_radius: Positive = Field(description="winding: angle = angle_per_radius * radius + pi * class")
    noise: Annotated[float, Field(ge=0)] = Field(description="standard deviation of the noise on both coordinates")
    seed: Seed = Field(description="seed of radii and noise")

    @model_validator(mode="after")
    def _radii_ordered(self) -> Self:
        if self.radius_max <= self.radius_min:
            raise ValueError(f"radius_max must be larger than radius_min = {self.radius_min:g}")
        return self


Data = SpiralData
