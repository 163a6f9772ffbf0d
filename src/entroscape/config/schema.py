"""What a configuration may say: the whole of an experiment, a scale, a run and the claims.

The parts of an experiment have modules of their own beside this one. Every model forbids unknown keys and is frozen.
A validator raises ``ValueError`` with a sentence that begins with the key it complains about (dotted where it lies
deeper) and says what is allowed, as in "radius_max must be larger than radius_min = 5"; `entroscape.config.load`
turns it into one that also names file, full key and value.
"""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.data import Data
from entroscape.config.model import Model
from entroscape.config.sampler import ACCURACY_BINS, Axis, Observables, Sampler
from entroscape.config.section import Count, Probability, Section
from entroscape.config.training import Training


class Analysis(Section):
    """How curves and claims are read off a landscape."""

    low_loss: tuple[float, float] = Field(description="(lower, upper) edges in ln L of the claims' low-loss region")
    generalising: float = Field(
        description="from where a state counts as generalising: test accuracies of at least this, or ln L_test up to it"
    )
    memorising: Probability | None = Field(
        None, description="test accuracies of at most this count as memorising; null: no barrier is looked for"
    )
    confidence: Probability = Field(
        description="level of intervals, and the probability that none of the verdicts on a figure is wrong"
    )

    @model_validator(mode="after")
    def _edges_ordered(self) -> Self:
        if self.low_loss[0] >= self.low_loss[1]:
            raise ValueError("low_loss must be a [lower, upper] pair with lower < upper")
        return self


class Experiment(Section):
    """One task: its data, its networks, their baselines and their landscapes."""

    study: Literal["entropy_advantage", "grokking"]
    title: str
    data: Data
    model: Model
    train_points: list[Count] = Field(
        [], description="smaller train sets, the first points of the whole one; the reference width learns each of them"
    )
    training: Training
    observables: Observables
    sampler: Sampler
    analysis: Analysis

    @model_validator(mode="after")
    def _batches_fit(self) -> Self:
        points = self.data.train_points
        if points is not None and max(self.training.search.batch_sizes) > points:
            raise ValueError(f"training.search.batch_sizes must be at most the {points} train points")
        return self

    @model_validator(mode="after")
    def _low_loss_inside_axis(self) -> Self:
        axis, (lower, upper) = self.observables.ln_train_loss, self.analysis.low_loss
        if not axis.min <= lower < upper <= axis.max:
            raise ValueError(
                f"analysis.low_loss must lie within observables.ln_train_loss ({axis.min:g} to {axis.max:g})"
            )
        if not (_is_edge(lower, axis) and _is_edge(upper, axis)):
            raise ValueError(
                f"analysis.low_loss must have edges that are bin edges of observables.ln_train_loss ({axis.min:g} to "
                f"{axis.max:g} in steps of {axis.bin_width:g}): columns count as a whole"
            )
        return self

    @model_validator(mode="after")
    def _generalising_fits(self) -> Self:
        y, threshold = self.observables.y, self.analysis.generalising
        if y.kind == "ln_test_loss":
            if not _is_edge(threshold, y.axis):
                raise ValueError(
                    f"analysis.generalising must be an edge of the bins of observables.y.axis ({y.axis.min:g} to "
                    f"{y.axis.max:g} in steps of {y.axis.bin_width:g})"
                )
            return self
        if not 0 < threshold < 1:
            raise ValueError("analysis.generalising must be a test accuracy above 0 and below 1")
        for key, value in (("generalising", threshold), ("memorising", self.analysis.memorising)):
            if value is not None and abs(ACCURACY_BINS * value - round(ACCURACY_BINS * value)) > 1e-6:
                raise ValueError(f"analysis.{key} must be a whole number of hundredths: accuracies are counted in them")
        return self

    @model_validator(mode="after")
    def _memorising_fits(self) -> Self:
        memorising, generalising = self.analysis.memorising, self.analysis.generalising
        if memorising is not None and (self.observables.y.kind == "ln_test_loss" or memorising >= generalising):
            raise ValueError(
                "analysis.memorising must be a test accuracy below analysis.generalising, or null where y is a loss"
            )
        return self

    @model_validator(mode="after")
    def _windows_inside_axis(self) -> Self:
        axis = self.observables.ln_train_loss
        for key, windows in self.sampler.windows():
            for edge in sorted({edge for window in windows for edge in window}):
                if not _is_edge(edge, axis):
                    raise ValueError(
                        f"sampler.{key}.windows must have edges that are bin edges of observables.ln_train_loss "
                        f"({axis.min:g} to {axis.max:g} in steps of {axis.bin_width:g}), but {edge:g} is not"
                    )
        return self

    @model_validator(mode="after")
    def _shell_fits_sampler(self) -> Self:
        shell, sampler = self.model.shell, self.sampler
        if shell is None:
            return self
        if sampler.kind == "wlmc":
            raise ValueError("model.shell must be left out with sampler.kind wlmc, whose moves know only the box")
        if sampler.main.masses != "unit":
            raise ValueError("sampler.main.masses must be unit with model.shell, where all parameters turn together")
        if sampler.main.integrator == "hmc" and shell.motion == "rescaling":
            raise ValueError("model.shell.motion must be geodesic with the integrator hmc, which asks for a way back")
        return self

    @model_validator(mode="after")
    def _coordinate_fits_sampler(self) -> Self:
        kind, sampler = self.observables.y.kind, self.sampler.kind
        if (sampler == "wlmc") != (kind == "test_accuracy"):
            raise ValueError(
                f"observables.y.kind must be test_accuracy with sampler.kind wlmc, and one that has a gradient with "
                f"wlmd, but the sampler is {sampler}"
            )
        return self


def _is_edge(value: float, axis: Axis) -> bool:
    """Whether a value is the edge of a bin of an axis."""
    bins = (value - axis.min) / axis.bin_width
    return axis.min <= value <= axis.max and abs(bins - round(bins)) <= 1e-6


class Scale(Section):
    """What a scale shrinks: partial experiments, merged over those of config/experiments."""

    title: str
    watermark: str | None = Field(None, description="written across every figure of this scale")
    experiments: dict[str, dict]
    step_size: dict = Field({}, description="part of config/step_size.yaml, merged over it")
    courses: dict = Field({}, description="part of config/courses.yaml, merged over it")


class Run(Section):
    """config/config.yaml: what to run."""

    scale: str
    device: Literal["auto", "cpu", "cuda"]
    job_minutes: tuple[Count, Count] = Field(
        (30, 1440), description="shortest and longest time that a job which samples asks of a cluster"
    )
    gpu_share: Annotated[str, Field(pattern=r"^\w+(:\w+)?:\d+$")] | None = Field(
        None,
        description="part of a GPU that sampling or training asks of a cluster, such as shard:1; null: all of one",
    )
    gpu_model: str | None = Field(None, description="kind of GPU to ask a cluster for, as it calls it; null: any")
    experiments: Annotated[list[str], Field(min_length=1)]
    courses: bool = Field(True, description="whether the courses of training of config/courses.yaml take part")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.job_minutes[0] > self.job_minutes[1]:
            raise ValueError(f"job_minutes must be two ascending numbers, not {list(self.job_minutes)}")
        return self


Baseline = Literal[
    "free", "box", "shell", "adam free", "adam box", "adam shell", "adamw free", "adamw box", "adamw shell"
]
Quantity = Literal[
    "advantage", "volume_ratio", "equilibrium", "largest_drop", "path_barrier", "jump", "valley", "lowest_trained"
]
Test = Literal["positive", "above", "below", "falls_with_width", "same_at_all_widths", "smaller_than"]


LARGEST_FAMILY = 16  # verdicts that can be judged together, those on one figure


def figure_rule(figure: str) -> str:
    """Name of the Snakemake rule that draws a figure: ea1 for EA-1."""
    return figure.replace("-", "").lower()


class Claim(Section):
    """A published claim about one experiment, and the test that decides it in the low-loss region."""

    id: str
    statement: str = Field(description="what is claimed, in one sentence")
    experiment: str
    quantity: Quantity
    baselines: Annotated[list[Baseline], Field(min_length=1)] | None = Field(
        None, description="baselines to compare with, one verdict each; leave out where none is involved"
    )
    test: Test = Field(
        description="positive, above, below: at the reference width against zero or `bound`; falls_with_width: slope"
        " against log2 of the width; same_at_all_widths: widest minus narrowest, within +- `bound`; smaller_than: at"
        " the reference widths, than that of the experiment `against`"
    )
    bound: float | None = Field(None, description="of the tests above, below and same_at_all_widths")
    against: str | None = Field(None, description="the other experiment of the test smaller_than")
    against_baseline: Baseline | None = Field(None, description="and its baseline; null: the same")
    figure: str = Field(description="figure that shows it")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.bound is None) == (self.test in {"above", "below", "same_at_all_widths"}):
            raise ValueError("bound must be given for the tests above, below and same_at_all_widths, and no other")
        if (self.against is None) == (self.test == "smaller_than"):
            raise ValueError("against must be given for the test smaller_than, and no other")
        if self.test == "same_at_all_widths" and self.bound is not None and self.bound <= 0:
            raise ValueError("bound must be positive for the test same_at_all_widths")
        return self


Milestone = Literal["steps_to_train", "steps_to_generalise", "delay", "largest_gap", "final_norm", "cost_ratio"]
COST = "step_cost"  # stands in place of a course where what a step costs is compared


class CourseClaim(Section):
    """A published claim about courses of training, and the test that decides it."""

    id: str
    case: str = Field(description="what is compared, in a few words")
    statement: str = Field(description="what is claimed, in one sentence")
    quantity: Milestone = Field(description="of each run; entroscape.analysis.courses says what they are")
    contrast: Annotated[dict[str, float], Field(min_length=1)] = Field(
        description=f"weights of the means over the runs of these courses (or {COST}), whose sum is judged"
    )
    test: Literal["above", "below"] = Field(description="side of `bound` on which the claim expects the sum")
    bound: float
    confidence: Probability = Field(description="probability that none of the verdicts on the figure is wrong")
    figure: str = Field(description="figure that shows it")
    note: str = Field("", description="what a reader of the verdict must know")


class Claims(Section):
    """config/claims.yaml: the published claims about landscapes, and those about courses of training."""

    claims: list[Claim]
    courses: list[CourseClaim] = Field([], description="claims about courses of training")

    @property
    def family_sizes(self) -> dict[str, int]:
        """Number of verdicts on each figure, one for each baseline, those about courses among them."""
        found = Counter(claim.figure for claim in self.courses)
        for claim in self.claims:
            found[claim.figure] += len(claim.baselines or [""])
        return dict(found)

    @model_validator(mode="after")
    def _families_not_too_large(self) -> Self:
        for figure, size in self.family_sizes.items():
            if size > LARGEST_FAMILY:
                raise ValueError(
                    f"claims must lead to at most {LARGEST_FAMILY} verdicts on one figure, one for each baseline and "
                    f"those about courses among them, but {figure} has {size}"
                )
        return self
