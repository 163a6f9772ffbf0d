# Figures: one notebook each, executed with its parameters; the page that leads to all of them. figures.smk says what
# each is made of.


rule ea1:
    input:
        source="notebooks/EA-1.ipynb",
        templates=[f"{TEMPLATES}/page.html.j2", f"{TEMPLATES}/notebook.html.j2"],
        data=f"{RESULTS}/data/spiral.nc",
        training=f"{RESULTS}/training/spiral/{landscape_of('spiral')}.parquet",
        landscape=f"{RESULTS}/landscapes/spiral/{landscape_of('spiral')}.nc",
        curves=f"{RESULTS}/curves/spiral/{landscape_of('spiral')}.parquet",
        low_loss=f"{RESULTS}/curves/spiral/{landscape_of('spiral')}.low_loss.parquet",
    output:
        **outputs_of("EA-1"),
    log:
        notebook=f"{RESULTS}/logs/notebooks/EA-1.ipynb",
        text=f"{RESULTS}/logs/notebooks/EA-1.log",
    conda:
        ENVIRONMENT
    params:
        parameters=parameters_of(
            "EA-1", ["data", "training", "landscape", "curves", "low_loss"]
        ),
        code=notebook_code("EA-1"),
        scale=RUN.scale,
    shell:
        EXECUTE


rule ea5:
    input:
        source="notebooks/EA-5.ipynb",
        templates=[f"{TEMPLATES}/page.html.j2", f"{TEMPLATES}/notebook.html.j2"],
        landscapes=of_widths(
            f"{RESULTS}/landscapes/{{experiment}}/{{variant}}.nc", "spiral"
        ),
        low_loss=of_widths(
            f"{RESULTS}/curves/{{experiment}}/{{variant}}.low_loss.parquet", "spiral"
        ),
    output:
        **outputs_of("EA-5"),
    log:
        notebook=f"{RESULTS}/logs/notebooks/EA-5.ipynb",
        text=f"{RESULTS}/logs/notebooks/EA-5.log",
    conda:
        ENVIRONMENT
    params:
        parameters=parameters_of(
            "EA-5",
            ["landscapes", "low_loss"],
            confidence=EXPERIMENTS["spiral"].analysis.confidence,
        ),
        code=notebook_code("EA-5"),
        scale=RUN.scale,
    shell:
        EXECUTE


rule ea8:
    input:
        source="notebooks/EA-8.ipynb",
        templates=[f"{TEMPLATES}/page.html.j2", f"{TEMPLATES}/notebook.html.j2"],
        landscape=f"{RESULTS}/landscapes/spiral/{landscape_of('spiral')}.nc",
        published=f"{RESULTS}/landscapes/spiral/{landscape_of('spiral', published=True)}.nc",
    output:
        **outputs_of("EA-8"),
    log:
        notebook=f"{RESULTS}/logs/notebooks/EA-8.ipynb",
        text=f"{RESULTS}/logs/notebooks/EA-8.log",
    conda:
        ENVIRONMENT
    params:
        parameters=parameters_of("EA-8", ["landscape", "published"]),
        code=notebook_code("EA-8"),
        scale=RUN.scale,
    shell:
        EXECUTE


rule write_index:
    input:
        figures=[str(path) for name in FIGURES for path in outputs_of(name).values()],
        captions=expand("workflow/report/{figure}.rst", figure=list(FIGURES)),
        landscapes=sorted({path for paths in PROVENANCE.values() for path in paths}),
        templates=[f"{TEMPLATES}/page.html.j2", f"{TEMPLATES}/index.html.j2"],
        claims=f"{RESULTS}/claims.csv",
    output:
        f"{RESULTS}/index.html",
    log:
        f"{RESULTS}/logs/index.log",
    conda:
        ENVIRONMENT
    params:
        entries=entries,
        code=code_of("verbs.index"),
        scale=RUN.scale,
        watermark=f"--watermark {SCALE.watermark}" if SCALE.watermark else "",
    shell:
        "entroscape index --scale {params.scale} {params.watermark} --figures {params.entries:q}"
        " --claims {input.claims} --output {output} 2>&1 | tee {log}"
