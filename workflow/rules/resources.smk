# What jobs ask of a cluster: GPUs, and time, which is known once the table of costs (cost.smk) has been made.

from snakemake.logging import logger

COST_TABLE = f"{RESULTS}/cost.csv"
# GPU-hours of the published maps: updates of a process at 24 h per million, two on an RTX 4090 [paper]; three widths
# at 4,000 hours of an H100 each [paper].
PUBLISHED_HOURS = {"GR-1": 15_360, "GR-2": 12_000}


def gpus(wildcards):
    """GPUs that sampling this variant asks for: molecular dynamics takes one, unless it is told to do without."""
    procedure = variant_of(wildcards).procedure.procedure
    return int(procedure == "molecular_dynamics" and RUN.device != "cpu")


def own_gpus(wildcards):
    """GPUs that a job which samples has for itself: none where jobs share them."""
    return 0 if RUN.gpu_share else gpus(wildcards)


def gpu_share(wildcards):
    """The part of a GPU that it asks for where jobs share them."""
    return RUN.gpu_share if RUN.gpu_share and gpus(wildcards) else ""


def items_of(figure):
    """Landscapes and courses that a figure shows, as in the table of costs."""
    return [
        item
        for name in FIGURES[figure][1]
        for item in (
            [name]
            if name.startswith("courses/")
            else [f"{name}/{variant}" for variant in variants(EXPERIMENTS[name])]
        )
    ]


def minutes(job, item, attempt):
    """Time that a job asks for: twice what it should take, more on each retry, never less than `job_minutes` say."""
    seconds = ESTIMATED.get((job, item), 0.0)
    return attempt * max(RUN.job_minutes[0], round(2 * seconds / 60))


def sampling_minutes(wildcards, attempt):
    """No longer than `job_minutes` say: at the end of its time a job saves its state, and the next attempt goes on."""
    item = f"{wildcards.experiment}/{wildcards.variant}"
    return min(RUN.job_minutes[1], minutes("sample", item, attempt))


def training_minutes(wildcards, attempt):
    """Of a search or of baselines, as for both."""
    return minutes("train", f"{wildcards.experiment}/{wildcards.variant}", attempt)


def course_minutes(wildcards, attempt):
    return minutes("course", f"courses/{wildcards.course}", attempt)


def search_minutes(wildcards, attempt):
    return minutes("search", f"courses/{COURSES.search.course}", attempt)


COURSE_GPUS = int(RUN.device != "cpu")
ESTIMATED = {}
if Path(COST_TABLE).exists():
    # libraries that other starts of the workflow need not wait for
    import pandas as pd

    from entroscape.verbs.cost import cpu_hours, gpu_hours

    COSTS = pd.read_csv(COST_TABLE)
    ESTIMATED = COSTS.set_index(["job", "item"])["seconds"].to_dict()
    if workflow.is_main_process:
        logger.info(
            f"Estimated for all of {RUN.scale}: {gpu_hours(COSTS):,.1f} GPU-hours, {cpu_hours(COSTS):,.1f} CPU-hours"
            f" ({COST_TABLE})"
        )
