# Data of each experiment: the files they are made from, then train and test arrays with their provenance.


# All files that are fetched, to have them before going where there is no network.
rule sources:
    input:
        expand(f"{SOURCES}/{{file}}", file=FETCHED),
    localrule: True


# Where the network is: on the machine that Snakemake itself runs on.
rule fetch_source:
    output:
        # a file that is there already may be right: `fetch` looks, and needs no network then
        update(f"{SOURCES}/{{file}}"),
    log:
        f"{SOURCES}/logs/{{file}}.log",
    wildcard_constraints:
        file="|".join(map(re.escape, FETCHED)) or "(?!)",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: settings_json(FETCHED[wildcards.file]),
    shell:
        "entroscape fetch --settings {params.settings:q} --output {output} 2>&1 | tee {log}"


rule prepare_data:
    input:
        sources_of,
    output:
        f"{RESULTS}/data/{{experiment}}.nc",
    log:
        f"{RESULTS}/logs/prepare/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{experiment}}.tsv"
    group:
        "data"
    conda:
        ENVIRONMENT
    params:
        settings=seen_by("prepare"),
        code=code_by_kind("prepare"),
        scale=RUN.scale,
        sources=SOURCES,
    shell:
        "entroscape prepare {wildcards.experiment} --scale {params.scale} --sources {params.sources}"
        " --output {output} 2>&1 | tee {log}"
