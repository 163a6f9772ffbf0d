# Curves and their averages at low loss for each landscape, and the verdicts on the published claims.


rule analyse_landscape:
    input:
        landscape=f"{RESULTS}/landscapes/{{experiment}}/{{variant}}.nc",
        training=lambda w: f"{RESULTS}/training/{w.experiment}/{trained(w)}.parquet",
    output:
        curves=f"{RESULTS}/curves/{{experiment}}/{{variant}}.parquet",
        low_loss=f"{RESULTS}/curves/{{experiment}}/{{variant}}.low_loss.parquet",
    log:
        f"{RESULTS}/logs/analyse/{{experiment}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/analyse/{{experiment}}/{{variant}}.tsv"
    group:
        "landscape"
    conda:
        ENVIRONMENT
    params:
        settings=seen_by("analyse"),
        code=code_of("analyse"),
        scale=RUN.scale,
    shell:
        "entroscape analyse {wildcards.experiment} {wildcards.variant} --scale {params.scale}"
        " --landscape {input.landscape} --training {input.training} --curves {output.curves}"
        " --low-loss {output.low_loss} 2>&1 | tee {log}"


# Courses of training that claims compare, and what else they look at.
COMPARED = [
    name
    for claim in checked(load_claims).courses
    for name in claim.contrast
    if RUN.courses
]


rule find_milestones:
    input:
        courses=[
            f"{RESULTS}/courses/{name}.parquet"
            for name in COURSE_NAMES
            if name in COMPARED
        ],
        step_cost=[f"{RESULTS}/courses/step_cost.parquet"] * (COST in COMPARED),
    output:
        f"{RESULTS}/milestones.parquet",
    log:
        f"{RESULTS}/logs/milestones.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=code_of("milestones"),
        files=lambda w, input: " ".join(
            [f"--course {path}" for path in input.courses]
            + [f"--step-cost {path}" for path in input.step_cost]
        ),
    shell:
        "entroscape milestones {params.files} --output {output} 2>&1 | tee {log}"


# All claims of the run, those of each of its studies, and those about each of its experiments alone: file, rule,
# experiments, whether courses are judged.
for claims_file, judge, judged, about_courses in [
    ("claims", "judge_claims", list(EXPERIMENTS), bool(COMPARED)),
    *(
        (
            f"claims/{study}",
            f"judge_{study}",
            of_study(study),
            study == "grokking" and bool(COMPARED),
        )
        for study in dict.fromkeys(STUDIES.values())
    ),
    *((f"claims/{name}", f"judge_{name}", [name], False) for name in EXPERIMENTS),
]:

    rule:
        name:
            judge
        input:
            low_loss=[
                f"{RESULTS}/curves/{experiment}/{variant}.low_loss.parquet"
                for experiment in looked_at(judged)
                for variant in width_variants(experiment)
            ],
            milestones=[f"{RESULTS}/milestones.parquet"] * about_courses,
        output:
            report(
                f"{RESULTS}/{claims_file}.csv",
                category="Claims",
                caption="../report/claims.rst",
            ),
        log:
            f"{RESULTS}/logs/{claims_file}.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            settings=settings_json(
                checked(claims_settings, RUN.scale, judged, courses=about_courses)
            ),
            code=code_of("claims"),
            scale=RUN.scale,
            experiments=" ".join(judged),
            files=lambda w, input: " ".join(
                [f"--low-loss {path}" for path in input.low_loss]
                + [f"--milestones {path}" for path in input.milestones]
            ),
        shell:
            "entroscape claims {params.experiments} --scale {params.scale} {params.files} --output {output}"
            " 2>&1 | tee {log}"
