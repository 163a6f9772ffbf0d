# What the figures are: their names, experiments, files, and the parameters of their notebooks.

# figure: (title, experiments it shows). Those of them that the run has are drawn; without any there is no figure.
EVERY_FIGURE = {
    "EA-1": ("Two spirals: the landscape and what training reaches", ["spiral"]),
    "EA-2": ("House prices: the landscape and what training reaches", ["house_prices"]),
    "EA-3": ("Images: landscapes and what training reaches", ["mnist", "cat_dog"]),
    "EA-4": ("Sentences: the landscape and what training reaches", ["sentences"]),
    "EA-5": (
        "The advantage of equilibrium against the width",
        ["spiral", "house_prices", "mnist", "cat_dog", "sentences"],
    ),
    "EA-6": ("A network of a million parameters", ["house_prices_million"]),
    "EA-7": (
        "The landscape as the train set grows",
        [name for name, about in EXPERIMENTS.items() if about.train_points][:1],
    ),
    "EA-8": ("Convergence of the landscapes", list(EXPERIMENTS)),
}
FIGURES = {
    figure: (title, [name for name in names if name in EXPERIMENTS])
    for figure, (title, names) in EVERY_FIGURE.items()
    if any(name in EXPERIMENTS for name in names)
}
STUDIES = {name: description.study for name, description in EXPERIMENTS.items()}
TEMPLATES = "src/entroscape/templates"


def figures(study):
    """Files of the figures of a study."""
    shown = [name for name, (_, about) in FIGURES.items() if STUDIES[about[0]] == study]
    return expand(f"{RESULTS}/figures/{{figure}}.png", figure=shown)


def task_files(*experiments):
    """Figures that show these experiments and no others, and the verdicts on them, as far as the run has them."""
    shown = [
        name for name, (_, about) in FIGURES.items() if set(about) <= {*experiments}
    ]
    judged = [name for name in experiments if name in EXPERIMENTS]
    return expand(f"{RESULTS}/figures/{{figure}}.png", figure=shown) + expand(
        f"{RESULTS}/claims/{{experiment}}.csv", experiment=judged
    )


# Files that figures are made from.


def reference(experiment, suffix=""):
    """The variant that the experiment's own figure shows, or the same network by another sampler."""
    return f"width-{EXPERIMENTS[experiment].model.reference_width}{suffix}"


def width_variants(experiment):
    """One variant for each width, with all train points."""
    found = trained_variants(EXPERIMENTS[experiment])
    return [name for name, variant in found.items() if variant.train_points is None]


def size_variants(experiment):
    """One variant for each number of train points, all of them last."""
    found = trained_variants(EXPERIMENTS[experiment])
    fewer = [name for name, variant in found.items() if variant.train_points]
    return [
        *sorted(fewer, key=lambda name: found[name].train_points),
        reference(experiment),
    ]


def landscape_file(experiment, variant):
    return f"{RESULTS}/landscapes/{experiment}/{variant}.nc"


def variant_files(experiment, variant):
    """What is known of a variant, by what it is."""
    return dict(
        training=f"{RESULTS}/training/{experiment}/{variant}.parquet",
        landscape=landscape_file(experiment, variant),
        curves=f"{RESULTS}/curves/{experiment}/{variant}.parquet",
        low_loss=f"{RESULTS}/curves/{experiment}/{variant}.low_loss.parquet",
    )


def columns(rows, *names):
    """A list of files for each name, from one dict of files for each variant; what is one landscape is several now."""
    plural = {"landscape": "landscapes"}
    return {plural.get(name, name): [row[name] for row in rows] for name in names}


def one_task(experiments):
    """Figure of one task."""
    (experiment,) = experiments
    return (
        dict(
            data=f"{RESULTS}/data/{experiment}.nc",
            **variant_files(experiment, reference(experiment)),
        ),
        {},
    )


def image_tasks(experiments):
    """Figure of several tasks, a row each."""
    rows = [
        variant_files(experiment, reference(experiment)) for experiment in experiments
    ]
    data = expand(f"{RESULTS}/data/{{experiment}}.nc", experiment=experiments)
    files = columns(rows, "training", "landscape", "curves", "low_loss")
    return dict(data=data, **files), dict(titles=titles(experiments))


def widths(experiments):
    """Figure of all widths of several tasks."""
    rows = [
        variant_files(experiment, variant)
        for experiment in experiments
        for variant in width_variants(experiment)
    ]
    levels = {name: EXPERIMENTS[name].analysis.confidence for name in experiments}
    values = dict(titles=marked_titles(experiments), confidence=levels)
    return columns(rows, "landscape", "low_loss"), values


def sizes(experiments):
    """Figure of one task with more and more train points."""
    (experiment,) = experiments
    rows = [variant_files(experiment, variant) for variant in size_variants(experiment)]
    files = columns(rows, "landscape", "curves", "low_loss")
    confidence = EXPERIMENTS[experiment].analysis.confidence
    return dict(data=f"{RESULTS}/data/{experiment}.nc", **files), dict(
        confidence=confidence
    )


def convergence(experiments):
    """Figure of all landscapes; those by Monte Carlo have others of the same network to be compared with."""
    landscapes = [
        landscape_file(name, variant)
        for name in experiments
        for variant in trained_variants(EXPERIMENTS[name])
    ]
    exact = [name for name in experiments if EXPERIMENTS[name].sampler.kind == "wlmc"]
    others = {
        method: landscape_file(name, reference(name, f"-{method}"))
        for name in exact[:1]
        for method in ("published", "wlmd", "wlhmc")
        if reference(name, f"-{method}") in variants(EXPERIMENTS[name])
    }
    published = [file for method, file in others.items() if method == "published"]
    compared = {
        method: file for method, file in others.items() if method != "published"
    }
    files = dict(
        reference=[landscape_file(name, reference(name)) for name in exact[:1]],
        published=published,
        compared=list(compared.values()),
        step_size=[f"{RESULTS}/step_size.parquet"] if compared else [],
        landscapes=landscapes + list(compared.values()),
    )
    replaced = {name: stand_in(EXPERIMENTS[name]) for name in experiments}
    return files, dict(
        methods=list(compared),
        stand_ins=[f"{name}: {what}" for name, what in replaced.items() if what],
    )


def titles(experiments):
    return [EXPERIMENTS[experiment].title for experiment in experiments]


def marked_titles(experiments):
    """Titles by experiment that say what stands in for what."""
    return {
        name: " · ".join(filter(None, (title, stand_in(EXPERIMENTS[name]))))
        for name, title in zip(experiments, titles(experiments))
    }


KINDS = {
    "EA-1": one_task,
    "EA-2": one_task,
    "EA-3": image_tasks,
    "EA-4": one_task,
    "EA-5": widths,
    "EA-6": one_task,
    "EA-7": sizes,
    "EA-8": convergence,
}
# Of each figure the files that its notebook reads, by the names of its parameters, and the other values it gets.
MADE_FROM = {figure: KINDS[figure](about) for figure, (_, about) in FIGURES.items()}


def landscapes_of(figure):
    """Landscapes whose provenance the page shows beside the figure."""
    files, _ = MADE_FROM[figure]
    found = [path for paths in files.values() for path in flat(paths)]
    return list(dict.fromkeys(path for path in found if "/landscapes/" in path))


def flat(paths):
    return [paths] if isinstance(paths, str) else paths


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


def parameters_of(figure):
    """Param function: parameters of a figure's notebook as JSON."""
    files, values = MADE_FROM[figure]

    def parameters(wildcards, output):
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


def entries(wildcards):
    """Param function: the figures as the index verb wants them, as JSON."""
    return json.dumps(
        [
            dict(
                id=name,
                title=title,
                caption=f"workflow/report/{name}.rst",
                landscapes=landscapes_of(name),
                **{kind: str(path) for kind, path in outputs_of(name).items()},
            )
            for name, (title, _) in FIGURES.items()
        ],
        sort_keys=True,
    )
