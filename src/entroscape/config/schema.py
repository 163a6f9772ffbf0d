"""What a configuration may say: one pydantic model per section.

Every model forbids unknown keys and is frozen. A validator raises ``ValueError`` with a sentence that begins with
the key it complains about (dotted where it lies deeper) and says what is allowed, as in "radius_max must be larger
than radius_min = 5"; `entroscape.config.load` turns it into one that also names file, full key and value.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: immutable, closed to keys it does not know, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class Analysis(Section):
    """How curves and claims are read off a landscape."""

    low_loss: tuple[float, float] = Field(description="(lower, upper) edges in ln L of the claims' low-loss region")
    generalising_accuracy: Probability = Field(description="test accuracy from which a state counts as generalising")
    confidence: Probability = Field(description="level of the claims' intervals")

    @model_validator(mode="after")
    def _edges_ordered(self) -> Self:
        if self.low_loss[0] >= self.low_loss[1]:
            raise ValueError("low_loss must be a [lower, upper] pair with lower < upper")
        return self


class Experiment(Section):
    """One task: its data, its networks, their baselines and their landscapes."""

    study: Literal["entropy_advantage", "grokking"]
    title: str
    data: SpiralData
    model: MLPModel
    training: Training
    observables: Observables
    sampler: Sampler
    analysis: Analysis

    @model_validator(mode="after")
    def _batches_fit(self) -> Self:
        points = 2 * self.data.train_points_per_class
        if max(self.training.search.batch_sizes) > points:
            raise ValueError(f"training.search.batch_sizes must be at most the {points} train points")
        return self

    @model_validator(mode="after")
    def _low_loss_inside_axis(self) -> Self:
        axis, (lower, upper) = self.observables.ln_train_loss, self.analysis.low_loss
        if not axis.min <= lower < upper <= axis.max:
            raise ValueError(
                f"analysis.low_loss must lie within observables.ln_train_loss ({axis.min:g} to {axis.max:g})"
            )
        return self

    @model_validator(mode="after")
    def _windows_inside_axis(self) -> Self:
        axis, sampler = self.observables.ln_train_loss, self.sampler
        for key, windows in (("main", sampler.main.windows), ("other_widths", sampler.other_widths.windows)):
            for edge in sorted({edge for window in windows for edge in window}):
                bins = (edge - axis.min) / axis.bin_width
                if not (axis.min <= edge <= axis.max) or abs(bins - round(bins)) > 1e-6:
                    raise ValueError(
                        f"sampler.{key}.windows must have edges that are bin edges of observables.ln_train_loss "
                        f"({axis.min:g} to {axis.max:g} in steps of {axis.bin_width:g}), but {edge:g} is not"
                    )
        return self


class Scale(Section):
    """What a scale shrinks: partial experiments, merged over those of config/experiments."""

    title: str
    watermark: str | None = Field(None, description="written across every figure of this scale")
    experiments: dict[str, dict]


class Run(Section):
    """config/config.yaml: what to run."""

    scale: str
    device: Literal["auto", "cpu", "cuda"]
    experiments: Annotated[list[str], Field(min_length=1)]


class Claim(Section):
    """A published claim about one experiment, and the test that decides it in the low-loss region."""

    id: str
    statement: str = Field(description="what is claimed, in one sentence")
    experiment: str
    quantity: Literal["advantage", "volume_ratio"]
    baselines: Annotated[list[Literal["free", "box"]], Field(min_length=1)] | None = Field(
        None, description="baselines to compare with, one verdict each; leave out where none is involved"
    )
    test: Literal["positive", "falls_with_width"] = Field(
        description="positive: at the reference width; falls_with_width: slope against log2 of the width"
    )
    figure: str = Field(description="figure that shows it")


class Claims(Section):
    """config/claims.yaml: the published claims."""

    claims: list[Claim]
