# Courses of training on modular arithmetic: many runs of one optimizer each.

from entroscape.config.courses import CostSettings, SearchSettings

SEARCH = f"{RESULTS}/courses/search.parquet"


rule search_wand:
    output:
        SEARCH,
    log:
        f"{RESULTS}/logs/courses/search.log",
    benchmark:
        f"{RESULTS}/benchmarks/courses/search.tsv"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("search", search_item),
        mem_mb=megabytes("search", search_item),
        gpu=COURSE_GPUS,
        gpu_model=COURSE_GPU_MODEL,
    params:
        settings=settings_json(SearchSettings.of(COURSES)),
        code=code_of("search_wand"),
        scale=RUN.scale,
        device=RUN.device,
    shell:
        "entroscape search-wand --scale {params.scale} --output {output} --threads {threads}"
        " --device {params.device} 2>&1 | tee {log}"


rule run_course:
    input:
        lambda wildcards: SEARCH if course_settings(wildcards).searched else [],
    output:
        f"{RESULTS}/courses/{{course}}.parquet",
    log:
        f"{RESULTS}/logs/courses/{{course}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/courses/{{course}}.tsv"
    wildcard_constraints:
        course="|".join(COURSES.courses),
    group:
        "courses"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("course", course_item),
        mem_mb=megabytes("course", course_item),
        gpu=COURSE_GPUS,
        gpu_model=COURSE_GPU_MODEL,
    params:
        settings=lambda wildcards: settings_json(course_settings(wildcards)),
        code=code_of("course"),
        scale=RUN.scale,
        device=RUN.device,
        search=lambda wildcards, input: f"--search {input}" if input else "",
    shell:
        "entroscape course {wildcards.course} --scale {params.scale} {params.search} --output {output}"
        " --threads {threads} --device {params.device} 2>&1 | tee {log}"


# Alone on the machine: other jobs beside it would be timed too. So first, since later all others would have to end.
rule measure_step_cost:
    output:
        f"{RESULTS}/courses/step_cost.parquet",
    log:
        f"{RESULTS}/logs/courses/step_cost.log",
    benchmark:
        f"{RESULTS}/benchmarks/courses/step_cost.tsv"
    priority: 1
    conda:
        ENVIRONMENT
    threads: workflow.cores or 1
    params:
        settings=settings_json(CostSettings.of(COURSES)),
        code=code_of("step_cost"),
        scale=RUN.scale,
    shell:
        "entroscape step-cost --scale {params.scale} --output {output} 2>&1 | tee {log}"
