"""Samplers and the coordinates they map: what may stand under `observables` and `sampler` in an experiment."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Probability, Section, Seed

ACCURACY_BINS = 100  # at most, of the true accuracy counted beside a smooth coordinate: thresholds are hundredths


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


class TrueAccuracy(Section):
    """Accuracy on the test points, one bin per attainable value; Monte Carlo only, since it has no gradient."""

    kind: Literal["test_accuracy"]


class LnTestLoss(Section):
    """ln of the mean loss on the test points."""

    kind: Literal["ln_test_loss"]
    axis: Axis


class SmoothedAccuracy(Section):
    """Test accuracy with a sigmoid of each point's margin in place of the step at zero."""

    kind: Literal["smoothed_accuracy"]
    slope: Positive = Field(description="of the sigmoid's argument; the larger, the closer to the true accuracy")
    axis: Axis


class SmoothedAccuracyLogit(Section):
    """Logit of the smoothed accuracy, which spreads the values near 0 and 1."""

    kind: Literal["smoothed_accuracy_logit"]
    slope: Positive = Field(description="of the sigmoid's argument; the larger, the closer to the true accuracy")
    epsilon: Positive = Field(description="keeps the logit finite: ln((a + epsilon) / (1 - a + epsilon))")
    axis: Axis


TestCoordinate = Annotated[
    TrueAccuracy | LnTestLoss | SmoothedAccuracy | SmoothedAccuracyLogit, Field(discriminator="kind")
]


class Observables(Section):
    """Coordinates of the landscape: ln of the training loss, and how well the test points are predicted."""

    ln_train_loss: Axis
    y: TestCoordinate


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


class TimeStep(Section):
    """Time step of the dynamics, one per window."""

    initial: Positive
    acceptance: Probability | None = Field(
        description="while exploring, each window's step is adapted until a Metropolis test would accept this share of "
        "the steps; null keeps the initial one"
    )


class Confinement(Section):
    """Energy that keeps walkers where the map is known: stiffness * (excess beyond a window or the y axis)^2, in kT."""

    x: Positive = Field(description="stiffness beyond a window's edges in ln L_train")
    y: Positive = Field(description="stiffness beyond the y axis")


# Refining lowers the factor as STRENGTH / t. Belardinelli and Pereyra use 1; a walker of a network forgets where it was
# only after some 1e5 moves, and a larger value lets the map mend more of what exploration left wrong. What remains is
# production's to correct.
STRENGTH = 3.0


class DepositSchedule(Section):
    """How the deposits shrink: constant while exploring, then as 1 / time."""

    kind: Literal["inverse_time", "published"] = Field(
        description="inverse_time: 1/t after exploring (Belardinelli and Pereyra 2007); published: a linear rise, a "
        "plateau up to the end of exploring, then 1 / (steps - offset)"
    )
    rise: Count | None = Field(None, description="steps until the plateau is reached, published only")
    offset: Annotated[int, Field(ge=0)] | None = Field(None, description="in steps, published only")
    strength: Positive = Field(
        STRENGTH,
        description="inverse_time only: after t visits per bin a visit adds strength / t to the map; the larger, the "
        "slower walkers forget where they were, and the rougher exploring has left the map",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "published" and (self.rise is None or self.offset is None):
            raise ValueError("kind must be inverse_time where rise and offset are not given")
        return self

    def check(self, steps: Stages, key: str) -> None:
        """Raise ValueError, which names `key`, where the published plateau ends before its rise or its offset.

        The height would go on rising while it should fall, grow beyond the plateau and become negative.
        """
        if self.kind != "published":
            return
        for name, value in (("rise", self.rise or 0), ("offset", (self.offset or 0) + 1)):
            if value > steps.explore:
                raise ValueError(
                    f"{key} must be at least {value:,} with the published schedule, whose plateau ends with exploring "
                    f"and must not end before schedule.{name}"
                )


class MolecularDynamics(Windowed):
    """Wang-Landau molecular dynamics: walkers of a window share its map and feel its slopes (arXiv:2503.13145)."""

    procedure: Literal["molecular_dynamics"]
    replicas: Replicas
    walkers: Annotated[int, Field(ge=2)] = Field(description="walkers per window; one in each window form a ladder")
    steps: Stages = Field(description="steps per walker; a step of hmc is a trajectory")
    steps_per_round: Count = Field(description="steps of a walker between two exchange attempts")
    integrator: Literal["first_order", "baoab", "hmc"] = Field(
        description="first_order: the published step; baoab: second order, Langevin; hmc: leapfrog with Metropolis test"
    )
    leapfrog_steps: Count = Field(1, description="gradients per step, hmc only")
    jitter: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="relative spread of the time step, hmc only")
    time_step: TimeStep
    masses: Literal["unit", "tensor"] = Field(
        "unit",
        description="unit: of 1, as published; tensor: each tensor's adapted while exploring to the forces on it, so "
        "that none keeps the time step of the others short",
    )
    friction: Positive | None = Field(
        description="of the Langevin thermostat, per unit of time; with hmc also null: each trajectory then has fresh "
        "velocities, while a low friction lets walkers keep their direction over many"
    )
    factor: Positive = Field(description="height of the deposit of a visit while exploring")
    deposit_width: Positive = Field(description="standard deviation of the deposit in bins, cut at four of them")
    schedule: DepositSchedule
    depth: Positive = Field(description="bins with an entropy further below the best of their column are not flattened")
    confinement: Confinement
    precision: Literal["float32", "float64"] = Field("float32", description="of parameters and gradients")
    checkpoint_seconds: CheckpointSeconds

    @model_validator(mode="after")
    def _friction_given(self) -> Self:
        if self.friction is None and self.integrator != "hmc":
            raise ValueError(f"friction must be a number with the integrator {self.integrator}")
        return self

    @model_validator(mode="after")
    def _round_fits(self) -> Self:
        if self.steps_per_round > self.steps.production:
            raise ValueError(f"steps_per_round must be at most steps.production = {self.steps.production}")
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        self.schedule.check(self.steps, "steps.explore")
        return self


class OtherNetworks(Windowed):
    """What molecular dynamics does differently at widths and train set sizes other than the reference."""

    steps: Stages


class Compared(Section):
    """The same landscape by molecular dynamics, with and without a Metropolis test."""

    y: TestCoordinate
    wlmd: MolecularDynamics
    wlhmc: MolecularDynamics


class MonteCarloSampler(Section):
    """Wang-Landau Monte Carlo, for small networks."""

    kind: Literal["wlmc"]
    seed: Seed = Field(description="of the walks: another number draws all of them anew")
    main: ReplicaExchange
    other_widths: OtherWidths
    published: Cycles = Field(description="the published procedure, run on the reference width for comparison")
    compared: Compared | None = Field(None, description="molecular dynamics on the reference width, for comparison")

    def windows(self) -> list[tuple[str, list[tuple[float, float]]]]:
        """The windows of each section that has some."""
        compared = self.compared
        others = {} if compared is None else {"compared.wlmd": compared.wlmd, "compared.wlhmc": compared.wlhmc}
        sections = {"main": self.main, "other_widths": self.other_widths, **others}
        return [(key, section.windows) for key, section in sections.items()]


class MolecularDynamicsSampler(Section):
    """Wang-Landau molecular dynamics, for networks of any size."""

    kind: Literal["wlmd"]
    seed: Seed = Field(description="of the walks: another number draws all of them anew")
    main: MolecularDynamics
    other_widths: OtherNetworks | None = Field(None, description="differences at other widths and train set sizes")

    @model_validator(mode="after")
    def _other_widths_fit(self) -> Self:
        least = self.main.steps_per_round
        if self.other_widths is not None and least > self.other_widths.steps.production:
            raise ValueError(f"other_widths.steps.production must be at least main.steps_per_round = {least}")
        if self.other_widths is not None:
            self.main.schedule.check(self.other_widths.steps, "other_widths.steps.explore")
        return self

    def windows(self) -> list[tuple[str, list[tuple[float, float]]]]:
        """The windows of each section that has some."""
        other = [("other_widths", self.other_widths.windows)] if self.other_widths else []
        return [("main", self.main.windows), *other]


Sampler = Annotated[MonteCarloSampler | MolecularDynamicsSampler, Field(discriminator="kind")]
