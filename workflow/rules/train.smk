# Baselines of each network: a small search for learning rate and batch size, then many runs trained together.


rule search_training:
    input:
        data=f"{RESULTS}/data/{{experiment}}.nc",
    output:
        f"{RESULTS}/training/{{experiment}}/{{variant}}.search.parquet",
    log:
        f"{RESULTS}/logs/search/{{experiment}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search/{{experiment}}/{{variant}}.tsv"
    group:
        BASELINES
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("train", variant_item),
        mem_mb=megabytes("train", variant_item),
        gpu=own_gpus,
        gpu_model=gpu_model,
        gres=gpu_share,
    params:
        settings=seen_by("search"),
        code=code_by_kind("search"),
        scale=RUN.scale,
        device=device_of,
    shell:
        "entroscape search {wildcards.experiment} {wildcards.variant} --scale {params.scale} --data {input.data}"
        " --output {output} --threads {threads} --device {params.device} 2>&1 | tee {log}"


rule train_baselines:
    input:
        data=f"{RESULTS}/data/{{experiment}}.nc",
        search=f"{RESULTS}/training/{{experiment}}/{{variant}}.search.parquet",
    output:
        curves=f"{RESULTS}/training/{{experiment}}/{{variant}}.parquet",
        seeds=f"{RESULTS}/training/{{experiment}}/{{variant}}.seeds.nc",
    log:
        f"{RESULTS}/logs/train/{{experiment}}/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{experiment}}/{{variant}}.tsv"
    group:
        BASELINES
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("train", variant_item),
        mem_mb=megabytes("train", variant_item),
        gpu=own_gpus,
        gpu_model=gpu_model,
        gres=gpu_share,
    params:
        settings=seen_by("train"),
        code=code_by_kind("train"),
        scale=RUN.scale,
        device=device_of,
    shell:
        "entroscape train {wildcards.experiment} {wildcards.variant} --scale {params.scale} --data {input.data}"
        " --search {input.search} --output {output.curves} --seeds {output.seeds} --threads {threads}"
        " --device {params.device} 2>&1 | tee {log}"
