"""What each verb may see of the configuration: exactly what it uses, so that what is tracked is what is used.

Snakemake passes the same object to a rule as canonical JSON; a rule reruns when that text changes.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from entroscape.config.data import SpiralData
from entroscape.config.explain import nearest
from entroscape.config.load import CONFIG_DIR, load_claims, load_experiment
from entroscape.config.model import BoxRule, MLPModel, Model, Start
from entroscape.config.sampler import Cycles, Observables, ReplicaExchange
from entroscape.config.schema import Analysis, Claim, Experiment
from entroscape.config.section import Count, Positive, Probability, Section
from entroscape.config.training import Search
from entroscape.errors import ConfigError

Procedure = Annotated[ReplicaExchange | Cycles, Field(discriminator="procedure")]


class NetworkSettings(Section):
    """The network of one variant."""

    kind: Literal["mlp", "cnn", "residual"] = "mlp"
    depth: Count | None = Field(None, description="hidden layers of an mlp; the other kinds have a fixed depth")
    width: Count
    box_rule: BoxRule = "width"
    box_factor: Positive
    start: Start = "torch"


class Variant(Section):
    """One landscape of an experiment: a width and how it is sampled."""

    width: Count
    procedure: Procedure


class PrepareSettings(Section):
    """Data are made per experiment, whatever the variant."""

    experiment: str
    data: SpiralData


class SearchSettings(Section):
    """What finding the training settings of one width depends on."""

    experiment: str
    variant: str
    network: NetworkSettings
    optimizer: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    search: Search


class TrainSettings(Section):
    """What the baselines of one width depend on; the grid of the search is not part of it, its result is an input."""

    experiment: str
    variant: str
    network: NetworkSettings
    optimizer: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    runs: Count
    steps: Count
    record_every: Count
    observables: Observables


class SampleSettings(Section):
    """What sampling one variant depends on."""

    experiment: str
    variant: str
    network: NetworkSettings
    observables: Observables
    procedure: Procedure


class MergeSettings(Section):
    """What merging the replicas of one variant depends on: nothing, but they must all have been sampled so."""

    sample: SampleSettings


class AnalyseSettings(Section):
    """What the curves of one variant depend on."""

    experiment: str
    variant: str
    width: Count
    observables: Observables
    analysis: Analysis


class ClaimsSettings(Section):
    """What the verdicts depend on."""

    scale: str
    claims: list[Claim]
    reference_width: dict[str, Count] = Field(description="of each experiment")
    confidence: dict[str, Probability] = Field(description="of each experiment")


def claims_settings(
    scale: str, experiments: Sequence[str] | None = None, config_dir: Path = CONFIG_DIR
) -> ClaimsSettings:
    """Settings of the verb that judges the claims about some experiments, by default all; raises ConfigError."""
    claims = [c for c in load_claims(config_dir).claims if experiments is None or c.experiment in experiments]
    about = {c.experiment: load_experiment(c.experiment, scale, config_dir) for c in claims}
    return ClaimsSettings(
        scale=scale,
        claims=claims,
        reference_width={name: experiment.model.reference_width for name, experiment in about.items()},
        confidence={name: experiment.analysis.confidence for name, experiment in about.items()},
    )


def variants(experiment: Experiment) -> dict[str, Variant]:
    """All landscapes of an experiment by name: each width, and the reference width by the published procedure."""
    model, sampler = experiment.model, experiment.sampler
    other = sampler.main.model_copy(update=dict(sampler.other_widths))
    found = {
        _trained(width): Variant(width=width, procedure=sampler.main if width == model.reference_width else other)
        for width in model.widths
    }
    published = Variant(width=model.reference_width, procedure=sampler.published)
    return found | {f"{_trained(model.reference_width)}-published": published}


def trained_variants(experiment: Experiment) -> dict[str, Variant]:
    """The variants that are trained, one per width; "width-6-published" samples the network of "width-6"."""
    names = [_trained(width) for width in experiment.model.widths]
    return {name: variant for name, variant in variants(experiment).items() if name in names}


def settings_for(verb: str, experiment: str, variant: str | None, scale: str, config_dir: Path = CONFIG_DIR) -> Any:
    """The settings of one verb, such as TrainSettings, for one variant (None for prepare).

    Raises ConfigError for a name that is unknown.
    """
    description = load_experiment(experiment, scale, config_dir)
    _check_known("verb", verb, ["prepare", *_MAKERS])
    if verb == "prepare":
        if variant is not None:
            raise ConfigError(f"prepare takes no variant, but got {variant!r}; leave it out")
        return PrepareSettings(experiment=experiment, data=description.data)
    known = trained_variants(description) if verb in {"search", "train"} else variants(description)
    name = variant or ""
    _check_known(f"variant of {experiment} to {verb}", name, known)
    return _MAKERS[verb](description, experiment, name, known[name])


def settings_json(settings: Section) -> str:
    """Canonical JSON: equal settings give equal text, keys sorted, no spaces."""
    return json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _trained(width: int) -> str:
    return f"width-{width}"


def _network(model: Model, width: int) -> NetworkSettings:
    return NetworkSettings(
        kind=model.kind,
        depth=model.depth if isinstance(model, MLPModel) else None,
        width=width,
        box_rule=model.box_rule,
        box_factor=model.box_factor,
        start=model.start,
    )


def _search(description: Experiment, experiment: str, name: str, variant: Variant) -> SearchSettings:
    training = description.training
    return SearchSettings(
        experiment=experiment,
        variant=name,
        network=_network(description.model, variant.width),
        optimizer=training.optimizer,
        momentum=training.momentum,
        search=training.search,
    )


def _train(description: Experiment, experiment: str, name: str, variant: Variant) -> TrainSettings:
    training = description.training
    return TrainSettings(
        experiment=experiment,
        variant=name,
        network=_network(description.model, variant.width),
        optimizer=training.optimizer,
        momentum=training.momentum,
        runs=training.runs,
        steps=training.steps,
        record_every=training.record_every,
        observables=description.observables,
    )


def _sample(description: Experiment, experiment: str, name: str, variant: Variant) -> SampleSettings:
    return SampleSettings(
        experiment=experiment,
        variant=name,
        network=_network(description.model, variant.width),
        observables=description.observables,
        procedure=variant.procedure,
    )


def _merge(description: Experiment, experiment: str, name: str, variant: Variant) -> MergeSettings:
    return MergeSettings(sample=_sample(description, experiment, name, variant))


def _analyse(description: Experiment, experiment: str, name: str, variant: Variant) -> AnalyseSettings:
    return AnalyseSettings(
        experiment=experiment,
        variant=name,
        width=variant.width,
        observables=description.observables,
        analysis=description.analysis,
    )


_MAKERS: dict[str, Callable[[Experiment, str, str, Variant], Section]] = {
    "search": _search,
    "train": _train,
    "sample": _sample,
    "merge": _merge,
    "analyse": _analyse,
}


def _check_known(kind: str, name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name not in known:
        raise ConfigError(f"{name!r} is no {kind}; there are {', '.join(known)}{nearest(name, known)}")
