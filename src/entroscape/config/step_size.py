"""The study of what a finite time step does: config/step_size.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.sampler import Axis
from entroscape.config.section import Count, Positive, Section

Integrator = Literal["first_order", "baoab", "hmc"]


class StepSizeStudy(Section):
    """Each integrator with several time steps, under the exact map of a problem whose density of states is known."""

    blocks: tuple[Count, Count] = Field(description="parameters of the two blocks, whose squared norms have ln x and y")
    axis: Axis = Field(description="bins of x and of y, below 0 so that the norms stay inside the box")
    walkers: Annotated[int, Field(ge=2)] = Field(description="independent walkers, from which the errors come")
    duration: Positive = Field(description="of each run, in units of time")
    time_steps: Annotated[list[Positive], Field(min_length=1)]
    friction: Positive = Field(description="of the Langevin thermostat, per unit of time; not used by hmc")
    leapfrog_steps: Count = Field(description="gradients per step, hmc only")
    jitter: Annotated[float, Field(ge=0, lt=1)] = Field(description="relative spread of the time step, hmc only")
    confinement: Positive = Field(description="stiffness beyond the axis, in kT per squared unit of x and y")

    @model_validator(mode="after")
    def _inside_box(self) -> Self:
        if self.axis.max > 0:
            raise ValueError("axis.max must be at most 0, where the norms reach the box")
        return self

    @model_validator(mode="after")
    def _time_steps_differ(self) -> Self:
        if len(set(self.time_steps)) < len(self.time_steps):
            raise ValueError("time_steps must differ from each other")
        return self
