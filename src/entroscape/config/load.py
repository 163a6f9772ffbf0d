"""Reading the configuration: files -> merged -> validated, and every mistake as one sentence.

Values are taken as written: "6" is no number, true is no number, 3.0 is no whole number (3 is a fine 3.0).
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from entroscape.config.courses import Courses, CourseSettings
from entroscape.config.document import names_in, read_document
from entroscape.config.explain import Key, Mistake, look_up, mistakes, nearest, not_allowed, unknown
from entroscape.config.schema import COST, Claims, Experiment, Run, Scale
from entroscape.config.step_size import StepSizeStudy
from entroscape.errors import ConfigError

CONFIG_DIR = Path("config")
Model = TypeVar("Model", bound=BaseModel)


def load_run(config_dir: Path = CONFIG_DIR, overrides: Mapping[str, Any] | None = None) -> Run:
    """config.yaml, with `overrides` from the command line (they may repeat what the file says).

    Raises ConfigError, also when the scale or an experiment that is named has no file.
    """
    path = config_dir / "config.yaml"
    document = read_document(path)
    _check(_named(_validated(Run, document, path), config_dir), path)
    words = {"true": True, "false": False}  # Snakemake reads True and False only
    given = {
        key: words.get(value, value) if isinstance(value, str) else value for key, value in (overrides or {}).items()
    }
    changes = {key: value for key, value in given.items() if document.get(key) != value}
    source = "the command line (--config)"
    run = _validated(Run, {**document, **changes}, source)
    _check(_named(run, config_dir), source)
    return run


def load_scale(name: str, config_dir: Path = CONFIG_DIR) -> Scale:
    """config/scales/{name}.yaml; raises ConfigError, also for an experiment that has no file."""
    path = config_dir / "scales" / f"{name}.yaml"
    scale = _validated(Scale, read_document(path), path)
    known = names_in(config_dir / "experiments")
    _check([unknown(("experiments", key), known) for key in scale.experiments if key not in known], path)
    return scale


def load_experiment(name: str, scale: str, config_dir: Path = CONFIG_DIR) -> Experiment:
    """config/experiments/{name}.yaml with what `scale` says of it merged over; raises ConfigError.

    The experiment must be right by itself, so that any mistake of the merged one is the scale's.
    """
    path = config_dir / "experiments" / f"{name}.yaml"
    override = load_scale(scale, config_dir).experiments.get(name) or {}
    return _scaled(Experiment, path, override, config_dir / "scales" / f"{scale}.yaml", ("experiments", name))


def load_step_size(scale: str, config_dir: Path = CONFIG_DIR) -> StepSizeStudy:
    """config/step_size.yaml with what `scale` says of it merged over; raises ConfigError."""
    override = load_scale(scale, config_dir).step_size
    source = config_dir / "scales" / f"{scale}.yaml"
    return _scaled(StepSizeStudy, config_dir / "step_size.yaml", override, source, ("step_size",))


def load_courses(scale: str, config_dir: Path = CONFIG_DIR) -> Courses:
    """config/courses.yaml with what `scale` says of it merged over; raises ConfigError."""
    override = load_scale(scale, config_dir).courses
    source = config_dir / "scales" / f"{scale}.yaml"
    return _scaled(Courses, config_dir / "courses.yaml", override, source, ("courses",))


def load_course(name: str, scale: str, config_dir: Path = CONFIG_DIR) -> CourseSettings:
    """Settings of one course; raises ConfigError, also for a name that is unknown."""
    courses = load_courses(scale, config_dir)
    if name not in courses.courses:
        known = list(courses.courses)
        raise ConfigError(f"{name!r} is no course; there are {', '.join(known)}{nearest(name, known)}")
    return CourseSettings.of(courses, name)


def load_claims(config_dir: Path = CONFIG_DIR) -> Claims:
    """claims.yaml; raises ConfigError, also for an experiment that has no file or a course that is not described."""
    path = config_dir / "claims.yaml"
    claims = _validated(Claims, read_document(path), path)
    known = names_in(config_dir / "experiments")
    wanted = [
        (("claims", index, key), getattr(claim, key))
        for index, claim in enumerate(claims.claims)
        for key in ("experiment", "against")
        if getattr(claim, key) is not None
    ]
    one_of = f"one of {', '.join(known) or 'none so far'}"
    _check([not_allowed(key, name, one_of + nearest(name, known)) for key, name in wanted if name not in known], path)
    _check(list(_unknown_courses(claims, config_dir)), path)
    return claims


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """A new mapping: groups of keys are merged into each other, anything else is replaced. Shares nothing."""
    merged = deepcopy(dict(base))
    for key, value in override.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, Mapping)
        merged[key] = merge(merged[key], value) if both else deepcopy(value)
    return merged


def unknown_keys(base: Mapping[str, Any], override: Mapping[str, Any]) -> Iterator[tuple[Key, list[str]]]:
    """Keys of `override` that `base` does not have, each with the keys that `base` has there."""
    for key, value in override.items():
        if key not in base:
            yield (key,), list(base)
        elif isinstance(value, Mapping) and isinstance(base[key], Mapping):
            for below, known in unknown_keys(base[key], value):
                yield (key, *below), known


def _scaled(model: type[Model], path: Path, override: dict[str, Any], source: Path, prefix: Key) -> Model:
    """What `path` says with `override` merged over, which the key `prefix` of `source` says; each must be right."""
    document = read_document(path)
    described = _validated(model, document, path)
    if not override:
        return described
    _check([unknown(key, known) for key, known in unknown_keys(document, override)], source, prefix)
    merged = merge(document, override)
    found = _mistakes(model, merged)
    absent = object()
    if found and look_up(override, found[0].key, absent) is absent:
        # the scale changed a key that this one must fit to
        _check(found, f"{source}, merged over {path}")
    _check(found, source, prefix)
    return model.model_validate_json(json.dumps(merged), strict=True)


def _validated(model: type[Model], data: Any, source: Path | str) -> Model:
    _check(_mistakes(model, data), source)
    return model.model_validate_json(json.dumps(data), strict=True)


def _mistakes(model: type[BaseModel], data: Any) -> list[Mistake]:
    """What is wrong with data from YAML. Validated as JSON, where a strict pair may be written as a list."""
    try:
        model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        return mistakes(model, error.errors(), data)
    return []


def _named(run: Run, config_dir: Path) -> list[Mistake]:
    """Scales and experiments that a run names but that have no file."""
    scales, experiments = names_in(config_dir / "scales"), names_in(config_dir / "experiments")
    wanted: list[tuple[Key, str, list[str]]] = [(("scale",), run.scale, scales)]
    wanted += [(("experiments", index), name, experiments) for index, name in enumerate(run.experiments)]
    return [
        not_allowed(key, name, f"one of {', '.join(known) or 'none so far'}{nearest(name, known)}")
        for key, name, known in wanted
        if name not in known
    ]


def _unknown_courses(claims: Claims, config_dir: Path) -> Iterator[Mistake]:
    """Courses that claims compare but config/courses.yaml does not describe."""
    if not claims.courses:
        return
    known = [*_validated(Courses, read_document(path := config_dir / "courses.yaml"), path).courses, COST]
    for index, claim in enumerate(claims.courses):
        for name in claim.contrast:
            if name not in known:
                yield unknown(("courses", index, "contrast", name), known)


def _check(found: list[Mistake], source: Path | str, prefix: Key = ()) -> None:
    """Raise ConfigError for the first mistake, saying how many more there are."""
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(f"{source}: {found[0].sentence(prefix)}{more}")
