# What the figures are: their names, what they show, files, and the parameters of their notebooks.


def courses(*names):
    """Courses of training, as names beside those of experiments."""
    return [f"courses/{name}" for name in names]


def of_study(study):
    """Experiments of a study that the run has."""
    return [name for name, about in EXPERIMENTS.items() if about.study == study]


# figure: (title, experiments and courses it shows). Those that the run has are drawn; without any there is no figure.
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
    "EA-8": ("Convergence of the landscapes", of_study("entropy_advantage")),
    "GR-1": (
        "Modular arithmetic: landscapes and what AdamW reaches",
        ["modular_add", "modular_square", "modular_cubic"],
    ),
    "GR-2": (
        "Modular addition at a fixed weight norm",
        [
            name
            for name in ("modular_shell", "modular_add")
            if "modular_shell" in EXPERIMENTS
        ],
    ),
    "GR-3": ("Modular addition: WanD and AdamW", courses("add_wand", "add")),
    "GR-4": ("Three operations modulo p", courses("add", "square", "cubic")),
    "GR-5": ("AdamW on three operations", courses("add", "square", "cubic")),
    "GR-6": (
        "AdamW at a fixed weight norm, three widths",
        courses("add_norm_32", "add_norm_64", "add_norm_128"),
    ),
    "GR-7": (
        "Modular addition as the train set grows",
        courses(
            *("add", "add_60", "add_70", "add_80"),
            *("add_wand", "add_wand_60", "add_wand_70", "add_wand_80"),
        ),
    ),
    "GR-8": (
        "x² + y as the train set grows, and the weight of the annealing",
        courses(
            *(f"square_adamw_{percent}" for percent in (50, 60, 70, 80)),
            *(f"square_wand_{percent}" for percent in (50, 60, 70, 80)),
            *("square_wand_printed", "square_wand_honest"),
        ),
    ),
    "GR-9": (
        "How sensitive WanD is to its settings",
        courses(COURSES.search.course),
    ),
    "GR-10": ("Convergence of the landscapes", of_study("grokking")),
    "GR-T1": (
        "Training settings, and when they learn and generalise",
        courses(
            *("add_norm_32", "add_norm_64", "add_norm_128"),
            *("add", "square", "cubic", "add_wand"),
        ),
    ),
}
STUDIES = {name: description.study for name, description in EXPERIMENTS.items()}
STUDIES |= {name: "grokking" for name in courses(*COURSE_NAMES)}
FIGURES = {
    figure: (title, [name for name in names if name in STUDIES])
    for figure, (title, names) in EVERY_FIGURE.items()
    if any(name in STUDIES for name in names)
}
TEMPLATES = "src/entroscape/templates"
BARRIERS = {"largest_drop", "valley", "jump"}  # quantities of claims that GR-1 draws


def study_files(study):
    """Figures of a study and the verdicts on its claims, as far as the run has them."""
    shown = [name for name, (_, about) in FIGURES.items() if STUDIES[about[0]] == study]
    return expand(f"{RESULTS}/figures/{{figure}}.png", figure=shown) + expand(
        f"{RESULTS}/claims/{{study}}.csv", study={study} & {*STUDIES.values()}
    )


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


def barriers(experiments):
    """Figure of several tasks, a column each, with what claims about barriers and jumps are judged by."""
    rows = [variant_files(name, reference(name)) for name in experiments]
    files = columns(rows, "training", "landscape", "curves", "low_loss")
    bounds = {
        claim.quantity: claim.bound
        for claim in checked(load_claims).claims
        if claim.experiment in experiments and claim.quantity in BARRIERS
    }
    return files, dict(
        titles=titles(experiments), analysis=readings(experiments), bounds=bounds
    )


def shell_widths(experiments):
    """Figure of all widths of a task on a shell, beside the reference width in the box, if the run has that."""
    on_shell = [name for name in experiments if EXPERIMENTS[name].model.shell]
    in_box = [name for name in experiments if name not in on_shell]
    rows = [
        variant_files(name, variant)
        for name in on_shell
        for variant in width_variants(name)
    ]
    box = columns(
        [variant_files(name, reference(name)) for name in in_box],
        *("landscape", "curves", "low_loss"),
    )
    return dict(
        **columns(rows, "landscape", "curves", "low_loss"),
        **{f"box_{name}": files for name, files in box.items()},
    ), dict(
        analysis=readings(on_shell)[0],
        box_analysis=readings(in_box),
        box_titles=titles(in_box),
    )


def readings(experiments):
    """How claims read the landscapes of some experiments."""
    return [EXPERIMENTS[name].analysis.model_dump(mode="json") for name in experiments]


def titles(experiments):
    return [EXPERIMENTS[experiment].title for experiment in experiments]


def marked_titles(experiments):
    """Titles by experiment that say what stands in for what."""
    return {
        name: " · ".join(filter(None, (title, stand_in(EXPERIMENTS[name]))))
        for name, title in zip(experiments, titles(experiments))
    }


def course_curves(names):
    """Figure of some courses."""
    return dict(courses=[f"{RESULTS}/{name}.parquet" for name in names]), {}


def course_table(names):
    """Table of the settings of some courses, of when their runs learn, and of what a step costs."""
    files, values = course_curves(names)
    return dict(**files, step_cost=f"{RESULTS}/courses/step_cost.parquet"), values


def wand_search(names):
    """Figure of the search for settings of WanD."""
    return dict(search=f"{RESULTS}/courses/search.parquet"), {}


def operations(names):
    """Figure of operations, which are computed in its notebook."""
    about = [COURSES.courses[name.removeprefix("courses/")] for name in names]
    return {}, dict(
        operations=[course.operation for course in about], modulus=COURSES.modulus
    )


KINDS = {
    "EA-1": one_task,
    "EA-2": one_task,
    "EA-3": image_tasks,
    "EA-4": one_task,
    "EA-5": widths,
    "EA-6": one_task,
    "EA-7": sizes,
    "EA-8": convergence,
    "GR-10": convergence,
    "GR-1": barriers,
    "GR-2": shell_widths,
    "GR-3": course_curves,
    "GR-4": operations,
    "GR-5": course_curves,
    "GR-6": course_curves,
    "GR-7": course_curves,
    "GR-8": course_curves,
    "GR-9": wand_search,
    "GR-T1": course_table,
}
# Of each figure the files that its notebook reads, by the names of its parameters, and the other values it gets.
MADE_FROM = {figure: KINDS[figure](about) for figure, (_, about) in FIGURES.items()}


def provenance_of(figure):
    """Landscapes and courses whose provenance the page shows beside the figure, as the index verb calls them."""
    files, _ = MADE_FROM[figure]
    found = dict.fromkeys(path for paths in files.values() for path in flat(paths))
    return {
        kind: [path for path in found if f"/{kind}/" in path]
        for kind in ("landscapes", "courses")
    }


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
                **provenance_of(name),
                **{kind: str(path) for kind, path in outputs_of(name).items()},
            )
            for name, (title, _) in FIGURES.items()
        ],
        sort_keys=True,
    )
