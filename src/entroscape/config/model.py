"""Networks: what may stand under `model` in an experiment."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Section


class MLPModel(Section):
    """Fully connected ReLU network with `depth` hidden layers of equal width."""

    kind: Literal["mlp"]
    depth: Count = Field(description="number of hidden layers")
    widths: Annotated[list[Count], Field(min_length=1)] = Field(
        description="neurons per hidden layer, one variant each"
    )
    reference_width: Count = Field(description="the width whose landscape is drawn, one of `widths`")
    box_factor: Positive = Field(description="parameters are confined to +- box_factor / sqrt(width)")

    @model_validator(mode="after")
    def _widths_usable(self) -> Self:
        if len(set(self.widths)) < len(self.widths):
            raise ValueError("widths must differ from each other")
        if self.reference_width not in self.widths:
            raise ValueError(f"reference_width must be one of widths = {self.widths}")
        return self


Model = MLPModel
