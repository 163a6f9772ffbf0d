# Data of each experiment: train and test arrays with their provenance.


rule prepare_data:
    output:
        f"{RESULTS}/data/{{experiment}}.nc",
    log:
        f"{RESULTS}/logs/prepare/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{experiment}}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("prepare"),
        code=code_of("verbs.prepare"),
        scale=RUN.scale,
    shell:
        "entroscape prepare {wildcards.experiment} --scale {params.scale} --output {output} 2>&1 | tee {log}"
