# What jobs ask of a cluster: GPUs, and time, which is known once the table of costs (cost.smk) has been made.

from snakemake.logging import logger

COST_TABLE = f"{RESULTS}/cost.csv"
# GPU-hours of the published maps: updates of a process at 24 h per million, two on an RTX 4090 [paper]; three widths
# at 4,000 hours of an H100 each [paper].
PUBLISHED_HOURS = {"GR-1": 15_360, "GR-2": 12_000}


def gpus(wildcards):
    """GPUs that this variant asks for: what molecular dynamics samples takes one, unless it is told to do without."""
    procedure = variant_of(wildcards).procedure.procedure
    return int(procedure == "molecular_dynamics" and RUN.device != "cpu")


def device_of(wildcards):
    """Where the baselines of a variant are trained: where it is sampled."""
    return RUN.device if gpus(wildcards) else "cpu"


def own_gpus(wildcards):
    """GPUs that a job has for itself: none where jobs share them."""
    return 0 if RUN.gpu_share else gpus(wildcards)


def gpu_model(wildcards):
    """Of which kind they are."""
    return RUN.gpu_model if RUN.gpu_model and own_gpus(wildcards) else ""


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


def variant_item(wildcards):
    return f"{wildcards.experiment}/{wildcards.variant}"


def course_item(wildcards):
    return f"courses/{wildcards.course}"


def search_item(wildcards):
    return f"courses/{COURSES.search.course}"


def estimated(column, job, item):
    """Of a job, 0 where nothing is known."""
    return ESTIMATED.get((job, item), {}).get(column, 0.0)


def minutes(job, item):
    """Resource function: twice the time that a job should take, more on each retry, never less than `job_minutes` say.

    Sampling never asks for more than they say: at the end of its time a job saves its state, and the next attempt
    goes on.
    """
    shortest, longest = RUN.job_minutes

    def asked(wildcards, attempt):
        seconds = estimated("seconds", job, item(wildcards))
        asks = attempt * max(shortest, round(2 * seconds / 60))
        return min(asks, longest) if job == "sample" else asks

    return asked


def megabytes(job, item):
    """Resource function: half more than the memory that a job should take, twice and thrice that when it is retried.

    No more than that: an attempt may only go on where the time of the last one was up.
    """

    def asked(wildcards, attempt):
        memory = estimated("memory_mb", job, item(wildcards))
        return min(attempt, 3) * max(LEAST_MEMORY, round(1.5 * memory))

    return asked


LEAST_MEMORY = 4000  # MB; torch alone takes some 400, with a GPU some 3,000
# A search and the baselines that follow it are one job; with GPUs no more than these, since they would have one in turns.
BASELINES = "baselines" if RUN.device == "cpu" else "gpu_baselines"
MOST_RETRIES = 30  # a mistake must not be repeated thousands of times
COURSE_GPUS = int(RUN.device != "cpu")
COURSE_GPU_MODEL = RUN.gpu_model if RUN.gpu_model and COURSE_GPUS else ""
ESTIMATED = {}
SAMPLING_RETRIES = None  # as many as the profile says
if Path(COST_TABLE).exists():
    # libraries that other starts of the workflow need not wait for
    from entroscape.deadline import SHARE
    from entroscape.verbs import cost

    COSTS = checked(cost.read, COST_TABLE)
    ESTIMATED = COSTS.set_index(["job", "item"]).to_dict("index")
    longest = COSTS.loc[COSTS["job"] == "sample", "seconds"].max()
    one_job = SHARE * 60 * RUN.job_minutes[1]
    if longest > one_job:
        # what takes several jobs goes on in retries, beside those that make good for failures
        SAMPLING_RETRIES = min(3 + int(longest / one_job), MOST_RETRIES)
    if workflow.is_main_process:
        devices = " and ".join(sorted(set(COSTS["device"])))
        logger.info(
            f"Estimated for all of {RUN.scale}, from speeds on {devices}: {cost.gpu_hours(COSTS):,.1f} GPU-hours,"
            f" {cost.cpu_hours(COSTS):,.1f} CPU-hours, {cost.gigabytes(COSTS):,.1f} GB at most ({COST_TABLE})"
        )
