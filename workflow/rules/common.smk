# What all rules share: the validated configuration, what each job may see of it, and how figures are named.

import json
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from entroscape import files
from entroscape.config.courses import CourseSettings
from entroscape.config.load import (
    load_claims,
    load_courses,
    load_experiment,
    load_run,
    load_scale,
    load_step_size,
)
from entroscape.config.schema import COST, figure_rule
from entroscape.config.settings import (
    claims_settings,
    settings_json,
    settings_of,
    stand_in,
    trained_variants,
    variants,
)
from entroscape.digest import code_digest
from entroscape.errors import EntroscapeError
from entroscape.verbs.code import code_of
from entroscape.verbs.notebook import imported_modules

# Jobs find `entroscape` beside the Python that runs Snakemake, whether or not its environment is active.
shell.prefix(
    "set -euo pipefail; "  # what this call would otherwise take away
    f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "
)

# What every rule uses. Jobs run in the environment of Snakemake itself, which has these very pins.
ENVIRONMENT = "../../envs/entroscape.yaml"


def checked(load, *args, **options):
    """Read some configuration; a mistake in it stops here, before any job, with its one sentence."""
    try:
        return load(*args, **options)
    except EntroscapeError as mistake:
        raise WorkflowError(str(mistake)) from None


RUN = checked(load_run, Path("config"), config)
SCALE = checked(load_scale, RUN.scale)
EXPERIMENTS = {
    name: checked(load_experiment, name, RUN.scale) for name in RUN.experiments
}
COURSES = checked(load_courses, RUN.scale)
COURSE_NAMES = list(COURSES.courses) if RUN.courses else []
RESULTS = f"results/{RUN.scale}"


wildcard_constraints:
    experiment="|".join(EXPERIMENTS),
    variant="|".join(
        sorted(
            {variant for e in EXPERIMENTS.values() for variant in variants(e)},
            key=len,
            reverse=True,
        )
    ),
    replica=r"\d+",


# A job reruns when the settings it sees, the modules it uses or its inputs change, and for nothing else: rules carry
# the first two as the params `settings` and `code`, and Snakemake compares params, inputs and the rules themselves.


@cache
def settings_seen(verb, experiment, variant):
    """Everything a verb sees of the configuration."""
    return checked(settings_of, verb, EXPERIMENTS[experiment], experiment, variant)


def job_settings(verb, wildcards):
    return settings_seen(verb, wildcards.experiment, wildcards.get("variant"))


def seen_by(verb):
    """Param function: everything a verb sees of the configuration, as canonical JSON, for the job's wildcards."""
    return lambda wildcards: settings_json(job_settings(verb, wildcards))


def code_by_kind(verb, of=None):
    """Param function: digest of a verb and of what it imports by kind, as its settings (or those `of` another) say."""
    return lambda wildcards: code_of(verb, job_settings(of or verb, wildcards))


def variant_of(wildcards):
    """The variant that the wildcards name."""
    return variants(EXPERIMENTS[wildcards.experiment])[wildcards.variant]


def trained(wildcards):
    """Name of the variant whose baselines belong to this one: training does not depend on the sampler."""
    return variant_of(wildcards).name


def replicas(pattern):
    """Input function: `pattern` for every replica of the variant."""
    return lambda w: expand(
        pattern, replica=range(variant_of(w).procedure.replicas), allow_missing=True
    )


def course_settings(wildcards):
    """Settings of the course that the wildcard names."""
    return CourseSettings.of(COURSES, wildcards.course)


def not_made_again(wildcards):
    """Input function: results that were set aside, as damaged or of another version. Snakemake would do without a
    file from which all has been made that is asked for."""
    found = files.not_made_again(Path(RESULTS))
    return [
        str(path)
        for path in found
        if any(rule.is_producer(str(path)) for rule in workflow.rules)
    ]


def looked_at(experiments):
    """These experiments and those that claims compare them with, as far as the run has them."""
    compared = [
        claim.against
        for claim in checked(load_claims).claims
        if claim.experiment in experiments
    ]
    return [name for name in EXPERIMENTS if name in {*experiments, *compared}]
