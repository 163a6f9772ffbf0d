"""Courses of training on modular arithmetic: config/courses.yaml (arXiv:2505.11411, sections 4 and 5)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.data import Operation
from entroscape.config.sampler import Axis
from entroscape.config.section import Count, Positive, Probability, Section, Seed

LEARNT = 0.99  # accuracy from which a run has learnt its train points, or generalises

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Values = Annotated[list[Positive], Field(min_length=1)]


class Heads(Section):
    """What the networks of all courses have; arXiv:2505.11411, appendix A.1."""

    heads: Count = Field(description="attention heads")
    mlp_ratio: Count = Field(description="neurons of the hidden layer / d_model")


class AdamW(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    betas: tuple[Probability, Probability] = Field(description="of the means of gradients and of their squares")
    norm: Positive | None = Field(None, description="L2 norm to which all parameters are rescaled together, or null")


class WanD(Section):
    """Wang-Landau dynamics on the one-dimensional entropy S(ln L_train); arXiv:2505.11411, algorithm 1."""

    kind: Literal["wand"]
    learning_rate: Positive = Field(description="time step; too large: the loss blows up where the bias is steep")
    temperature: Positive = Field(description="kT; too high: the noise keeps the loss up")
    friction: Annotated[float, Field(gt=0, lt=2)] = Field(
        description="c_f, share of the velocity lost in a step; too low: walkers overshoot, too high: they creep"
    )
    onset: float = Field(description="ln L above which the bias drives, L0")


class Entropy(Section):
    """The map S(ln L_train) of WanD and its bias, the same in all courses."""

    bias: Positive | None = Field(
        description="beta of the bias beta (ln L - onset)^2; too weak: training stalls, too strong: it blows up; null:"
        " what `search` finds"
    )
    factor: Annotated[float, Field(ge=0)] = Field(
        description="F_WL, largest height of a deposit; too high: walkers are thrown out of every minimum"
    )
    factor_steps: Count = Field(description="t_WL, step at which deposits are highest; before and after they are lower")
    deposit_width: Positive = Field(description="standard deviation of a deposit in bins, cut at four of them")
    axis: Axis = Field(description="bins in ln L; beyond them S goes on as a straight line")


class Annealing(Section):
    """WanD and AdamW as one optimizer: alpha of the step of WanD and 1 - alpha of that of AdamW."""

    weight: Literal["printed", "described"] = Field(
        description="alpha of the accuracy A. printed: (2 A - 1)^2, the formula; described: 1 - (2 A - 1)^2, which"
        " rises and then falls as the text says"
    )
    accuracy: Literal["train", "test"] = Field(
        description="which accuracy: the paper takes that on the test data, which so guides training; train is honest"
    )
    adamw: AdamW


class WanDWithAdamW(Section):
    """The annealed hybrid; arXiv:2505.11411, appendix B.3."""

    kind: Literal["hybrid"]
    wand: WanD
    annealing: Annealing


CourseOptimizer = Annotated[AdamW | WanD | WanDWithAdamW, Field(discriminator="kind")]


class Lost(Section):
    """When a run is given up: so many steps after its train accuracy was last so high, or once it is not finite."""

    accuracy: Probability
    steps: Count


class Stop(Section):
    """When a run ends early: so many steps after it has reached this test accuracy, or when it is lost."""

    accuracy: Probability
    steps: Count
    lost: Lost | None = Field(description="null: no run is given up; a run that never learnt never is")


class Course(Section):
    """Runs of one optimizer on one task, full batch always; each has its own start and its own split."""

    operation: Operation
    train_fraction: Probability
    d_model: Count = Field(description="width of the residual stream, a multiple of `network.heads`")
    optimizer: CourseOptimizer
    runs: Count
    steps: Count


class WanDSearch(Section):
    """A search for the bias of WanD, and how sensitive it is to its other settings, each varied alone."""

    course: Name = Field(description="the course whose optimizer is varied, one of `courses`")
    runs: Count = Field(description="of each setting")
    steps: Count
    bias: Values = Field(description="tried one after the other; what trains best is the bias of all courses without")
    learning_rate: Values
    temperature: Values
    friction: Values
    factor: Values


class StepCost(Section):
    """Which courses are timed against each other, in turns, one run of each."""

    adamw: Name
    wand: Name
    steps: Count = Field(description="of each course in a round")
    rounds: Annotated[int, Field(ge=2)]


class Courses(Section):
    """config/courses.yaml: all courses by name, and the search for settings of WanD."""

    modulus: Annotated[int, Field(ge=2)]
    seed: Seed = Field(description="of splits and starts")
    network: Heads
    entropy: Entropy
    record_every: Count = Field(description="steps between two rows of a table")
    stop: Stop | None = Field(description="null: all steps are made")
    courses: dict[Name, Course]
    search: WanDSearch
    step_cost: StepCost

    @model_validator(mode="after")
    def _courses_possible(self) -> Self:
        for name, course in self.courses.items():
            if course.d_model % self.network.heads:
                raise ValueError(f"courses.{name}.d_model must be a multiple of network.heads = {self.network.heads}")
            if self.record_every > course.steps:
                raise ValueError(f"record_every must be at most courses.{name}.steps = {course.steps}")
        return self

    @model_validator(mode="after")
    def _search_about_wand(self) -> Self:
        course = self.courses.get(self.search.course)
        if course is None or course.optimizer.kind != "wand":
            known = ", ".join(name for name, one in self.courses.items() if one.optimizer.kind == "wand")
            raise ValueError(f"search.course must be the name of a course with the optimizer wand: {known}")
        return self

    @model_validator(mode="after")
    def _timed_courses_known(self) -> Self:
        for kind in ("adamw", "wand"):
            course = self.courses.get(getattr(self.step_cost, kind))
            if course is None or course.optimizer.kind != kind:
                raise ValueError(f"step_cost.{kind} must be the name of a course with the optimizer {kind}")
        return self


class CourseSettings(Section):
    """What one course depends on."""

    name: str
    course: Course
    modulus: Count
    seed: Seed
    network: Heads
    entropy: Entropy | None = Field(description="of WanD only")
    record_every: Count
    stop: Stop | None

    @classmethod
    def of(cls, courses: Courses, name: str) -> "CourseSettings":
        """Settings of a course that `courses` has."""
        course = courses.courses[name]
        return cls(
            name=name,
            course=course,
            modulus=courses.modulus,
            seed=courses.seed,
            network=courses.network,
            entropy=None if course.optimizer.kind == "adamw" else courses.entropy,
            record_every=courses.record_every,
            stop=courses.stop,
        )

    @property
    def train_points(self) -> int:
        """Number of train prompts."""
        return int(self.course.train_fraction * self.modulus**2)

    @property
    def searched(self) -> bool:
        """Whether the bias is what the search finds."""
        return self.entropy is not None and self.entropy.bias is None


class SearchSettings(Section):
    """What the search for settings of WanD depends on."""

    base: CourseSettings
    search: WanDSearch

    @classmethod
    def of(cls, courses: Courses) -> "SearchSettings":
        """Settings of the search."""
        return cls(base=CourseSettings.of(courses, courses.search.course), search=courses.search)


class CostSettings(Section):
    """What the measurement of the cost of steps depends on."""

    adamw: CourseSettings
    wand: CourseSettings
    steps: Count
    rounds: Count

    @classmethod
    def of(cls, courses: Courses) -> "CostSettings":
        """Settings of the measurement."""
        about = courses.step_cost
        adamw, wand = (CourseSettings.of(courses, name) for name in (about.adamw, about.wand))
        return cls(adamw=adamw, wand=wand, steps=about.steps, rounds=about.rounds)
