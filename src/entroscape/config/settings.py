"""What each verb may see of the configuration: exactly what it uses, so that what is tracked is what is used.

Snakemake passes the same object to a rule as canonical JSON; a rule reruns when that text changes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from entroscape.config.data import Data, ImagePair
from entroscape.config.explain import mistakes, nearest
from entroscape.config.load import CONFIG_DIR, load_claims, load_experiment
from entroscape.config.model import BoxRule, MLPModel, Model, Shell, Start, TransformerModel
from entroscape.config.sampler import Cycles, MolecularDynamics, Observables, ReplicaExchange
from entroscape.config.schema import Analysis, Claim, CourseClaim, Experiment
from entroscape.config.section import Count, Positive, Probability, Section, Seed
from entroscape.config.sources import Fetched, LocalFile
from entroscape.config.training import AdamWOptions, Optimizer, Search
from entroscape.errors import ConfigError

Procedure = Annotated[ReplicaExchange | Cycles | MolecularDynamics, Field(discriminator="procedure")]


class NetworkSettings(Section):
    """The network of one variant."""

    kind: Literal["mlp", "cnn", "residual", "transformer"] = "mlp"
    depth: Count | None = Field(None, description="hidden layers of an mlp; the other kinds have a fixed depth")
    width: Count
    heads: Count | None = Field(None, description="of a transformer")
    mlp_ratio: Count | None = Field(None, description="of a transformer")
    box_rule: BoxRule | None = "width"
    box_factor: Positive | None = None
    shell: Shell | None = Field(None, description="where parameters live in place of the box")
    start: Start = "torch"


class Variant(Section):
    """One landscape of an experiment: a width, how many of the train points it learns from, and how it is sampled."""

    width: Count
    train_points: Count | None = Field(None, description="the first so many train points; None: all")
    observables: Observables
    procedure: Procedure

    @property
    def name(self) -> str:
        """Name of the network and its train set, such as "width-2-points-30"."""
        points = "" if self.train_points is None else f"-points-{self.train_points}"
        return f"width-{self.width}{points}"


class PrepareSettings(Section):
    """Data are made per experiment, whatever the variant."""

    experiment: str
    data: Data


class FetchSettings(Section):
    """A file is fetched once for all experiments and scales."""

    source: Fetched


class SearchSettings(Section):
    """What finding the training settings of one network depends on."""

    experiment: str
    variant: str
    network: NetworkSettings
    train_points: Count | None
    optimizers: list[Optimizer]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    adamw: AdamWOptions | None = None
    search: Search


class TrainSettings(Section):
    """What the baselines of one network depend on, but for the optimizers, which the result of the search names."""

    experiment: str
    variant: str
    network: NetworkSettings
    train_points: Count | None
    momentum: Annotated[float, Field(ge=0, lt=1)]
    adamw: AdamWOptions | None = None
    runs: Count
    steps: Count
    record_every: Count
    observables: Observables


class SampleSettings(Section):
    """What sampling one variant depends on."""

    experiment: str
    variant: str
    network: NetworkSettings
    train_points: Count | None
    observables: Observables
    procedure: Procedure
    seed: Seed


class MergeSettings(Section):
    """What merging the replicas of one variant depends on: nothing, but they must all have been sampled so."""

    sample: SampleSettings


class AnalyseSettings(Section):
    """What the curves of one variant depend on."""

    experiment: str
    variant: str
    width: Count
    train_points: Count | None
    observables: Observables
    analysis: Analysis


class ClaimsSettings(Section):
    """What the verdicts depend on."""

    scale: str
    claims: list[Claim]
    courses: list[CourseClaim] = Field([], description="claims about courses of training")
    reference_width: dict[str, Count] = Field(description="of each experiment")
    confidence: dict[str, Probability] = Field(description="of each experiment")
    low_loss: dict[str, tuple[float, float]] = Field(description="(lower, upper) edges in ln L, of each experiment")
    stand_in: dict[str, str] = Field(description="of each experiment what stands in for the published data, or nothing")
    family_sizes: dict[str, int] = Field(
        {}, description="verdicts on each figure in config/claims.yaml, whether they are made here or not"
    )


def claims_settings(
    scale: str, experiments: Sequence[str] | None = None, config_dir: Path = CONFIG_DIR, *, courses: bool = True
) -> ClaimsSettings:
    """Settings of the verb that judges the claims about some experiments (by default all) and, maybe, about courses.

    Raises ConfigError.
    """
    published = load_claims(config_dir)
    claims = [c for c in published.claims if experiments is None or c.experiment in experiments]
    named = dict.fromkeys([*(c.experiment for c in claims), *(c.against for c in claims if c.against)])
    about = {name: load_experiment(name, scale, config_dir) for name in named}
    return ClaimsSettings(
        scale=scale,
        claims=claims,
        courses=published.courses if courses else [],
        reference_width={name: experiment.model.reference_width for name, experiment in about.items()},
        confidence={name: experiment.analysis.confidence for name, experiment in about.items()},
        low_loss={name: experiment.analysis.low_loss for name, experiment in about.items()},
        stand_in={name: stand_in(experiment) for name, experiment in about.items()},
        family_sizes=published.family_sizes,
    )


def stand_in(experiment: Experiment) -> str:
    """What stands in place of the published data, as in "4 and 9 in place of cats and dogs"; empty if nothing does."""
    if not isinstance(experiment.data, ImagePair):
        return ""
    source = experiment.data.sources[experiment.data.source]
    return f"{source.title} in place of {source.stand_in_for}" if source.stand_in_for else ""


def variants(experiment: Experiment) -> dict[str, Variant]:
    """All landscapes of an experiment by name.

    One for each width and, if asked for, each number of train points; with Monte Carlo also the reference width by
    the published procedure and by molecular dynamics with and without a Metropolis test.
    """
    sampler, reference = experiment.sampler, experiment.model.reference_width
    found = {variant.name: variant for variant in _networks(experiment)}
    if sampler.kind == "wlmd":
        return found
    main = found[f"width-{reference}"]
    found[f"{main.name}-published"] = main.model_copy(update={"procedure": sampler.published})
    if sampler.compared is not None:
        smooth = main.observables.model_copy(update={"y": sampler.compared.y})
        for name, procedure in (("wlmd", sampler.compared.wlmd), ("wlhmc", sampler.compared.wlhmc)):
            found[f"{main.name}-{name}"] = main.model_copy(update={"procedure": procedure, "observables": smooth})
    return found


def trained_variants(experiment: Experiment) -> dict[str, Variant]:
    """The variants that are trained, one per network and train set; "width-6-published" samples that of "width-6"."""
    return {name: variant for name, variant in variants(experiment).items() if name == variant.name}


def _networks(experiment: Experiment) -> Iterator[Variant]:
    """The reference network, the other widths, and the reference width with other numbers of train points."""
    reference, sampler = experiment.model.reference_width, experiment.sampler
    other = sampler.main.model_copy(update=dict(sampler.other_widths or {}))
    for width in experiment.model.widths:
        procedure = sampler.main if width == reference else other
        yield Variant(width=width, observables=experiment.observables, procedure=procedure)
    for points in experiment.train_points:
        yield Variant(width=reference, train_points=points, observables=experiment.observables, procedure=other)


def fetched_files(experiments: Iterable[Experiment]) -> dict[str, FetchSettings]:
    """The files of some experiments that are fetched, by name; raises ConfigError when two share a name."""
    found: dict[str, FetchSettings] = {}
    for source in (file for experiment in experiments for file in experiment.data.files()):
        if isinstance(source, LocalFile):
            continue
        settings = found.setdefault(source.file_name, FetchSettings(source=source))
        if settings.source != source:
            raise ConfigError(
                f"two experiments describe the file {source.file_name} differently under data.sources: make them equal"
            )
    return found


def fetch_settings(text: str) -> FetchSettings:
    """Settings of the verb that fetches a file, from JSON; raises ConfigError."""
    try:
        return FetchSettings.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigError(f"--settings: {mistakes(FetchSettings, error.errors(), {})[0].sentence()}") from error


def settings_for(verb: str, experiment: str, variant: str | None, scale: str, config_dir: Path = CONFIG_DIR) -> Any:
    """`settings_of` an experiment as a scale has it; raises ConfigError."""
    return settings_of(verb, load_experiment(experiment, scale, config_dir), experiment, variant)


def settings_of(verb: str, description: Experiment, experiment: str, variant: str | None) -> Any:
    """The settings of one verb, such as TrainSettings, for one variant (None for prepare) of an experiment.

    Raises ConfigError for a name that is unknown.
    """
    _check_known("verb", verb, ["prepare", *_MAKERS])
    if verb == "prepare":
        if variant is not None:
            raise ConfigError(f"prepare takes no variant, but got {variant!r}; leave it out")
        return PrepareSettings(experiment=experiment, data=description.data.used())
    known = trained_variants(description) if verb in {"search", "train"} else variants(description)
    name = variant or ""
    _check_known(f"variant of {experiment} to {verb}", name, known)
    return _MAKERS[verb](description, experiment, name, known[name])


def settings_json(settings: Section) -> str:
    """Canonical JSON: equal settings give equal text, keys sorted, no spaces."""
    return json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _network(model: Model, width: int) -> NetworkSettings:
    return NetworkSettings(
        kind=model.kind,
        depth=model.depth if isinstance(model, MLPModel) else None,
        width=width,
        heads=model.heads if isinstance(model, TransformerModel) else None,
        mlp_ratio=model.mlp_ratio if isinstance(model, TransformerModel) else None,
        box_rule=model.box_rule,
        box_factor=model.box_factor,
        shell=model.shell,
        start=model.start,
    )


def _search(description: Experiment, experiment: str, name: str, variant: Variant) -> SearchSettings:
    training = description.training
    return SearchSettings(
        experiment=experiment,
        variant=name,
        network=_network(description.model, variant.width),
        train_points=variant.train_points,
        optimizers=training.optimizers,
        momentum=training.momentum,
        adamw=training.adamw,
        search=training.search,
    )


def _train(description: Experiment, experiment: str, name: str, variant: Variant) -> TrainSettings:
    training = description.training
    return TrainSettings(
        experiment=experiment,
        variant=name,
        network=_network(description.model, variant.width),
        train_points=variant.train_points,
        momentum=training.momentum,
        adamw=training.adamw,
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
        train_points=variant.train_points,
        observables=variant.observables,
        procedure=variant.procedure,
        seed=description.sampler.seed,
    )


def _merge(description: Experiment, experiment: str, name: str, variant: Variant) -> MergeSettings:
    return MergeSettings(sample=_sample(description, experiment, name, variant))


def _analyse(description: Experiment, experiment: str, name: str, variant: Variant) -> AnalyseSettings:
    return AnalyseSettings(
        experiment=experiment,
        variant=name,
        width=variant.width,
        train_points=variant.train_points,
        observables=variant.observables,
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
