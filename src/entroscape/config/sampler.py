"""Samplers and the coordinates they map: what may stand under `observables` and `sampler` in an experiment."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Probability, Section


class Axis(Section):
    """Equal bins on one coordinate of the landscape."""

    min: float
    max: float
    bin_width: Positive

    @model_validator(mode="after")
    def _whole_bins(self) -> Self:
        if self.max <= self.min:
            raise ValueError(f"max must be larger than min = {self.min:g}")
        bins = (self.max - self.min) / self.bin_width
        if round(bins) < 1 or abs(bins - round(bins)) > 1e-6:
            raise ValueError(f"bin_width must divide max - min = {self.max - self.min:g} into a whole number of bins")
        return self


class Observables(Section):
    """Coordinates of the landscape; the test accuracy has one bin per attainable value."""

    ln_train_loss: Axis


# What no number of a run depends on is left out of the settings that are tracked and stored: another replica or
# another checkpoint interval leaves the runs there are as they are.
Replicas = Annotated[
    int, Field(ge=2, exclude=True, description="independent runs, which show whether the errors are honest")
]
CheckpointSeconds = Annotated[float, Field(gt=0, exclude=True, description="time between two checkpoints")]


class StepSize(Section):
    """Adaptation of the proposal's half width sigma; it ends with the exploration stage."""

    initial: Positive
    max: Positive
    grow: Annotated[float, Field(gt=1)] = Field(description="factor above the upper acceptance")
    shrink: Probability = Field(description="factor below the lower acceptance")
    acceptance_low: Probability
    acceptance_high: Probability

    @model_validator(mode="after")
    def _values_ordered(self) -> Self:
        if self.initial > self.max:
            raise ValueError(f"initial must be at most max = {self.max:g}")
        if self.acceptance_low >= self.acceptance_high:
            raise ValueError(f"acceptance_low must be below acceptance_high = {self.acceptance_high:g}")
        return self


class Stages(Section):
    """Moves of each walker in the three stages: explore (constant factor), refine (1/t), production (frozen map)."""

    explore: Count
    refine: Count
    production: Count


class Windowed(Section):
    """Overlapping windows in ln L."""

    windows: Annotated[list[tuple[float, float]], Field(min_length=1)] = Field(
        description="[lower, upper] edges in ln L, from high to low loss, each overlapping the next"
    )

    @model_validator(mode="after")
    def _windows_overlap(self) -> Self:
        for lower, upper in self.windows:
            if lower >= upper:
                raise ValueError(
                    f"windows must be [lower, upper] pairs with lower < upper, but [{lower:g}, {upper:g}] is not"
                )
        for above, below in pairwise(self.windows):
            if not below[0] < above[0] < below[1] < above[1]:
                raise ValueError(
                    f"windows must run from high to low loss and overlap, but {list(above)} and {list(below)} do not"
                )
        return self


class ReplicaExchange(Windowed):
    """Replica-exchange Wang-Landau over overlapping windows in ln L (Vogel, Li, Wuest, Landau 2013)."""

    procedure: Literal["replica_exchange"]
    replicas: Replicas
    walkers: Annotated[int, Field(ge=2)] = Field(description="walkers per window; one in each window form a ladder")
    moves: Stages = Field(description="moves per walker")
    moves_per_round: Count = Field(description="moves of a walker between two exchange attempts")
    factor: Positive = Field(description="ln of the modification factor while exploring")
    depth: Positive = Field(description="bins with an entropy further below the best of their column are not refined")
    step_size: StepSize
    checkpoint_seconds: CheckpointSeconds


class OtherWidths(Windowed):
    """What replica exchange does differently at widths other than the reference.

    Their maps serve the averages at low loss only, so they need not reach up to the losses of chance.
    """

    moves: Stages


class Cycles(Section):
    """The published single-window procedure: cycles of moves, entropies of all instances averaged after each."""

    procedure: Literal["cycles"]
    replicas: Replicas
    instances: Annotated[int, Field(ge=2)] = Field(description="walkers, each with its own map between two merges")
    cycles: Count
    moves_per_cycle: Count
    factor_scale: Positive = Field(description="increment of cycle i is factor_scale / (i + factor_offset)")
    factor_offset: Positive
    unequilibrated_factor: Positive = Field(description="increment while sigma still adapts")
    step_size: StepSize
    checkpoint_seconds: CheckpointSeconds


class Sampler(Section):
    """How the landscapes are sampled."""

    kind: Literal["wlmc"]
    main: ReplicaExchange
    other_widths: OtherWidths
    published: Cycles = Field(description="the published procedure, run on the reference width for comparison")
