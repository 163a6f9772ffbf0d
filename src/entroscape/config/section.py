"""What all sections of the configuration share: the base class and a few types."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: immutable, closed to keys it does not know, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
