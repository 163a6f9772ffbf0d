# What the figures are: their names, experiments, files, and the parameters of their notebooks.

FIGURES = {
    # figure: (title, experiments it shows)
    "EA-1": ("Two spirals: the landscape and what training reaches", ["spiral"]),
    "EA-5": ("The advantage of equilibrium against the width", ["spiral"]),
    "EA-8": ("Convergence of the landscapes", ["spiral"]),
}
STUDIES = {name: description.study for name, description in EXPERIMENTS.items()}
TEMPLATES = "src/entroscape/templates"


def shown(study, experiment=None):
    """Names of the figures of a study, or of those that show one of its experiments."""
    return [
        name
        for name, (_, experiments) in FIGURES.items()
        if any(STUDIES.get(e) == study and experiment in (None, e) for e in experiments)
    ]


def figures(study, experiment=None):
    """Their files."""
    return expand(f"{RESULTS}/figures/{{figure}}.png", figure=shown(study, experiment))


def landscape_of(experiment, published=False):
    """Variant of the reference width, sampled by the published procedure or ours."""
    name = f"width-{EXPERIMENTS[experiment].model.reference_width}"
    return f"{name}-published" if published else name


def of_widths(pattern, experiment):
    """`pattern` for the variant of each width."""
    return expand(
        pattern,
        experiment=experiment,
        variant=list(trained_variants(EXPERIMENTS[experiment])),
    )


def outputs_of(figure):
    """What every figure consists of, by name."""
    return dict(
        png=report(
            f"{RESULTS}/figures/{figure}.png",
            category="Figures",
            caption=f"../report/{figure}.rst",
        ),
        pdf=f"{RESULTS}/figures/{figure}.pdf",
        csv=f"{RESULTS}/figures/{figure}.csv",
        notebook=f"{RESULTS}/notebooks/{figure}.ipynb",
        html=f"{RESULTS}/notebooks/{figure}.html",
    )


def parameters_of(figure, data, **values):
    """Param function: parameters of a figure's notebook as JSON; `data` names the inputs that it reads."""

    def parameters(wildcards, input, output):
        files = {
            name: input[name] if isinstance(input[name], str) else list(input[name])
            for name in data
        }
        drawn = {name: output[name] for name in ("png", "pdf", "csv")}
        about = dict(
            figure=figure,
            title=FIGURES[figure][0],
            scale=RUN.scale,
            watermark=SCALE.watermark or "",
        )
        return json.dumps({**about, **values, **files, **drawn}, sort_keys=True)

    return parameters


def notebook_code(figure):
    """Digest of the notebook verb and of the modules that the figure's notebook imports."""
    modules = imported_modules(Path(f"notebooks/{figure}.ipynb"))
    return code_digest("entroscape.verbs.notebook", "entroscape.verbs.render", *modules)


EXECUTE = (
    "entroscape notebook {input.source} --parameters {params.parameters:q} --output {output.notebook}"
    " --html {output.html} --log {log.notebook} 2>&1 | tee {log.text}"
)


# Landscapes whose provenance the page shows beside each figure.
PROVENANCE = {
    "EA-1": [f"{RESULTS}/landscapes/spiral/{landscape_of('spiral')}.nc"],
    "EA-5": of_widths(f"{RESULTS}/landscapes/{{experiment}}/{{variant}}.nc", "spiral"),
    "EA-8": [
        f"{RESULTS}/landscapes/spiral/{landscape_of('spiral', published=p)}.nc"
        for p in (False, True)
    ],
}


def entries(wildcards):
    """Param function: the figures as the index verb wants them, as JSON."""
    return json.dumps(
        [
            dict(
                id=name,
                title=title,
                caption=f"workflow/report/{name}.rst",
                landscapes=PROVENANCE[name],
                **{kind: str(path) for kind, path in outputs_of(name).items()},
            )
            for name, (title, _) in FIGURES.items()
        ],
        sort_keys=True,
    )
