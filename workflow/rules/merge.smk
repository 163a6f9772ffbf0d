# One landscape with errors from the independent runs of a variant.


rule merge_landscapes:
    input:
        replicas=replicas(
            f"{RESULTS}/replicas/{{experiment}}/{{variant}}/{{replica}}.nc"
        ),
        timings=replicas(
            f"{RESULTS}/benchmarks/sample/{{experiment}}/{{variant}}/{{replica}}.tsv"
        ),
    output:
        f"{RESULTS}/landscapes/{{experiment}}/{{variant}}.nc",
    log:
        f"{RESULTS}/logs/merge/{{experiment}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge/{{experiment}}/{{variant}}.tsv"
    group:
        "landscape"
    conda:
        ENVIRONMENT
    params:
        settings=seen_by("merge"),
        code=code_of("merge"),
        scale=RUN.scale,
        files=lambda w, input: " ".join(
            [f"--replica {path}" for path in input.replicas]
            + [f"--timing {path}" for path in input.timings]
        ),
    shell:
        "entroscape merge {wildcards.experiment} {wildcards.variant} --scale {params.scale} {params.files}"
        " --output {output} 2>&1 | tee {log}"
