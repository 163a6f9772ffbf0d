# What a scale will cost: speeds measured within seconds for each variant, and a table figure by figure.


rule measure_speed:
    input:
        data=f"{RESULTS}/data/{{experiment}}.nc",
    output:
        f"{RESULTS}/speed/{{experiment}}/{{variant}}.parquet",
    log:
        f"{RESULTS}/logs/speed/{{experiment}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/speed/{{experiment}}/{{variant}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        # networks of images take much more than others, but how much is what is to be found out
        mem_mb=lambda wildcards, attempt: 2 * attempt * LEAST_MEMORY,
        gpu=own_gpus,
        gpu_model=gpu_model,
        gres=gpu_share,
    params:
        settings=seen_by("sample"),
        code=code_by_kind("speed", of="sample"),
        scale=RUN.scale,
        device=RUN.device,
    shell:
        "entroscape speed {wildcards.experiment} {wildcards.variant} --scale {params.scale} --data {input.data}"
        " --output {output} --threads {threads} --device {params.device} 2>&1 | tee {log}"


rule measure_course_speed:
    output:
        f"{RESULTS}/speed/courses.parquet",
    log:
        f"{RESULTS}/logs/speed/courses.log",
    benchmark:
        f"{RESULTS}/benchmarks/speed/courses.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=COURSE_GPUS,
        gpu_model=COURSE_GPU_MODEL,
    params:
        settings=[
            settings_json(CourseSettings.of(COURSES, name)) for name in COURSE_NAMES
        ],
        code=code_of("course_speed"),
        scale=RUN.scale,
        device=RUN.device,
    shell:
        "entroscape course-speed --scale {params.scale} --output {output} --device {params.device} 2>&1 | tee {log}"


rule cost:
    input:
        [
            f"{RESULTS}/speed/{experiment}/{variant}.parquet"
            for experiment, description in EXPERIMENTS.items()
            for variant in variants(description)
        ],
        [f"{RESULTS}/speed/courses.parquet"] * RUN.courses,
    output:
        COST_TABLE,
    log:
        f"{RESULTS}/logs/cost.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        figures=json.dumps({figure: items_of(figure) for figure in FIGURES}),
        published=json.dumps(PUBLISHED_HOURS),
        code=code_of("cost"),
        files=lambda w, input: " ".join(f"--speed {path}" for path in input),
    shell:
        "entroscape cost --figures {params.figures:q} --published {params.published:q} {params.files}"
        " --output {output} 2>&1 | tee {log}"
