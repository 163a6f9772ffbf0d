"""Baselines: what may stand under `training` in an experiment."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Section


class Search(Section):
    """Small grid search for the training settings; it looks at the training loss only."""

    runs: Count = Field(description="independent runs per grid point")
    steps: Count = Field(description="steps per run")
    learning_rates: Annotated[list[Positive], Field(min_length=1)]
    batch_sizes: Annotated[list[Count], Field(min_length=1)]


class Training(Section):
    """Baselines: many independent runs trained as one batch, half of them free, half kept in the box."""

    optimizer: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    runs: Count = Field(description="independent runs of each protocol (free, box)")
    steps: Count = Field(description="optimiser steps per run")
    record_every: Count = Field(description="steps between two recorded states")
    search: Search

    @model_validator(mode="after")
    def _something_recorded(self) -> Self:
        if self.record_every > self.steps:
            raise ValueError(f"record_every must be at most steps = {self.steps}")
        return self
