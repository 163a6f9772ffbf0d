# Figures: one notebook each, executed with its parameters; the page that leads to all of them. figures.smk says what
# each is made of. The rule of EA-1 is named ea1, and so on.

for figure in FIGURES:

    rule:
        name:
            figure_rule(figure)
        input:
            **MADE_FROM[figure][0],
            source=f"notebooks/{figure}.ipynb",
            templates=[
                f"{TEMPLATES}/page.html.j2",
                f"{TEMPLATES}/notebook.html.j2",
            ],
        output:
            **outputs_of(figure),
        log:
            notebook=f"{RESULTS}/logs/notebooks/{figure}.ipynb",
            text=f"{RESULTS}/logs/notebooks/{figure}.log",
        benchmark:
            f"{RESULTS}/benchmarks/notebooks/{figure}.tsv"
        group:
            "figures"
        conda:
            ENVIRONMENT
        params:
            parameters=parameters_of(figure),
            code=notebook_code(figure),
            scale=RUN.scale,
        shell:
            EXECUTE


# Are all files whole, and made as they would be now? What is not is set aside, so that the next run makes it again.
rule check:
    log:
        f"{RESULTS}/logs/check.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        scale=RUN.scale,
        results=RESULTS,
    shell:
        "entroscape check --scale {params.scale} --results {params.results} 2>&1 | tee {log}"


rule write_index:
    input:
        figures=[str(path) for name in FIGURES for path in outputs_of(name).values()],
        captions=expand("workflow/report/{figure}.rst", figure=list(FIGURES)),
        provenance=sorted(
            {
                path
                for name in FIGURES
                for paths in provenance_of(name).values()
                for path in paths
            }
        ),
        templates=[f"{TEMPLATES}/page.html.j2", f"{TEMPLATES}/index.html.j2"],
        claims=f"{RESULTS}/claims.csv",
    output:
        f"{RESULTS}/index.html",
    log:
        f"{RESULTS}/logs/index.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        entries=entries,
        code=code_of("index"),
        scale=RUN.scale,
        watermark=f"--watermark {SCALE.watermark}" if SCALE.watermark else "",
    shell:
        "entroscape index --scale {params.scale} {params.watermark} --figures {params.entries:q}"
        " --claims {input.claims} --output {output} 2>&1 | tee {log}"
