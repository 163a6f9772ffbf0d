"""Baselines: what may stand under `training` in an experiment."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Probability, Section

Optimizer = Literal["sgd", "adam", "adamw"]
Rates = Annotated[list[Positive], Field(min_length=1)]


class Search(Section):
    """Small grid search for the training settings; it looks at the training loss only.

    An optimizer with one learning rate and one batch size is not searched: it has these.
    """

    runs: Count = Field(description="independent runs per grid point")
    steps: Count = Field(description="steps per run")
    learning_rates: Rates
    adam_learning_rates: Rates | None = Field(None, description="of adam and adamw; null: the same as of sgd")
    batch_sizes: Annotated[list[Count], Field(min_length=1)]

    def rates(self, optimizer: Optimizer) -> list[float]:
        """Learning rates to try for an optimizer."""
        return self.adam_learning_rates if optimizer != "sgd" and self.adam_learning_rates else self.learning_rates


class AdamWOptions(Section):
    """What adamw has besides its learning rate."""

    weight_decay: Annotated[float, Field(ge=0)] = Field(
        description="decoupled: each step takes learning rate x this off a parameter; on a shell rescaling undoes it"
    )
    betas: tuple[Probability, Probability] = Field(description="of the means of gradients and of their squares")


class Training(Section):
    """Baselines: many independent runs trained as one batch, half free, half kept in the box or on the shell."""

    optimizers: Annotated[list[Optimizer], Field(min_length=1)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="of sgd; adam has its usual decay rates")
    adamw: AdamWOptions | None = Field(None, description="of adamw, which must have them")
    runs: Count = Field(description="independent runs of each optimizer and protocol (free, and box or shell)")
    steps: Count = Field(description="optimizer steps per run")
    record_every: Count = Field(description="steps between two recorded states")
    search: Search

    @model_validator(mode="after")
    def _optimizers_differ(self) -> Self:
        if len(set(self.optimizers)) < len(self.optimizers):
            raise ValueError("optimizers must differ from each other")
        return self

    @model_validator(mode="after")
    def _adamw_described(self) -> Self:
        if self.adamw is None and "adamw" in self.optimizers:
            raise ValueError("adamw must be given, with weight_decay and betas, where optimizers has adamw")
        return self

    @model_validator(mode="after")
    def _something_recorded(self) -> Self:
        if self.record_every > self.steps:
            raise ValueError(f"record_every must be at most steps = {self.steps}")
        return self
