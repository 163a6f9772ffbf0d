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
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("analyse"),
        code=code_of("verbs.analyse"),
        scale=RUN.scale,
    shell:
        "entroscape analyse {wildcards.experiment} {wildcards.variant} --scale {params.scale}"
        " --landscape {input.landscape} --training {input.training} --curves {output.curves}"
        " --low-loss {output.low_loss} 2>&1 | tee {log}"


# All claims of the run, and those about each of its experiments alone: file, rule, experiments.
for claims_file, judge, judged in [
    ("claims", "judge_claims", list(EXPERIMENTS)),
    *((f"claims/{name}", f"judge_{name}", [name]) for name in EXPERIMENTS),
]:

    rule:
        name:
            judge
        input:
            [
                f"{RESULTS}/curves/{experiment}/{variant}.low_loss.parquet"
                for experiment in judged
                for variant in width_variants(experiment)
            ],
        output:
            report(
                f"{RESULTS}/{claims_file}.csv",
                category="Claims",
                caption="../report/claims.rst",
            ),
        log:
            f"{RESULTS}/logs/{claims_file}.log",
        conda:
            ENVIRONMENT
        params:
            settings=settings_json(checked(claims_settings, RUN.scale, judged)),
            code=code_of("verbs.claims"),
            scale=RUN.scale,
            experiments=" ".join(judged),
            files=lambda w, input: " ".join(f"--low-loss {path}" for path in input),
        shell:
            "entroscape claims {params.experiments} --scale {params.scale} {params.files} --output {output}"
            " 2>&1 | tee {log}"
