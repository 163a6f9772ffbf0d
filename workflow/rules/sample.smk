# Wang-Landau sampling: one job per independent run (replica) of each variant. The checkpoint is not an output, so that
# Snakemake leaves it alone when a job fails; the next attempt goes on from it.


rule sample_landscape:
    input:
        data=f"{RESULTS}/data/{{experiment}}.nc",
        seeds=lambda w: f"{RESULTS}/training/{w.experiment}/{trained(w)}.seeds.nc",
    output:
        f"{RESULTS}/replicas/{{experiment}}/{{variant}}/{{replica}}.nc",
    log:
        f"{RESULTS}/logs/sample/{{experiment}}/{{variant}}/{{replica}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/sample/{{experiment}}/{{variant}}/{{replica}}.tsv"
    retries: SAMPLING_RETRIES
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("sample", variant_item),
        mem_mb=megabytes("sample", variant_item),
        gpu=own_gpus,
        gpu_model=gpu_model,
        gres=gpu_share,
    params:
        settings=seen_by("sample"),
        code=code_by_kind("sample"),
        scale=RUN.scale,
        device=RUN.device,
        checkpoint=f"{RESULTS}/checkpoints/{{experiment}}/{{variant}}/{{replica}}.npz",
    shell:
        "entroscape sample {wildcards.experiment} {wildcards.variant} --replica {wildcards.replica}"
        " --scale {params.scale} --data {input.data} --seeds {input.seeds} --output {output}"
        " --checkpoint {params.checkpoint} --threads {threads} --device {params.device} 2>&1 | tee {log}"


# What a finite time step does to the integrators of molecular dynamics, on a problem whose S is known.
rule measure_step_size:
    output:
        f"{RESULTS}/step_size.parquet",
    log:
        f"{RESULTS}/logs/step_size.log",
    benchmark:
        f"{RESULTS}/benchmarks/step_size.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_json(checked(load_step_size, RUN.scale)),
        code=code_of("step_size"),
        scale=RUN.scale,
    shell:
        "entroscape step-size --scale {params.scale} --output {output} 2>&1 | tee {log}"
