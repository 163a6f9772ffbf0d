"""The command line: one verb per rule, so that any job of the workflow can be run by hand.

Verbs are imported when they are called: a command loads only what it uses.
"""

import json
import logging
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from entroscape.config.settings import settings_for
from entroscape.errors import EntroscapeError, UnusableFile

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Experiment = Annotated[str, typer.Argument(help="name of a file in config/experiments")]
Variant = Annotated[str, typer.Argument(help="variant of the experiment, such as width-6")]
Course = Annotated[str, typer.Argument(help="name of a course in config/courses.yaml")]
Scale = Annotated[str, typer.Option(help="name of a file in config/scales")]
ConfigDir = Annotated[Path, typer.Option(help="folder of the configuration")]
File = Annotated[Path, typer.Option(dir_okay=False)]
Files = Annotated[list[Path], typer.Option(dir_okay=False)]
SomeFiles = Annotated[list[Path] | None, typer.Option(dir_okay=False)]
Threads = Annotated[int, typer.Option(min=1, help="threads to use; they change the rounding of molecular dynamics")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto")]
CONFIG = Path("config")
RESULTS = "results"  # the folder of files that rules make; others are never renamed
SOURCES = Path(RESULTS, "data")


def main() -> None:
    """Run a verb; its log begins with the command, and a mistake of the user ends in one sentence."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO, stream=sys.stderr)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "entroscape"
    os.environ.setdefault("ENTROSCAPE_CACHE_DIR", str(cache))
    if len(sys.argv) > 1:
        sys.stderr.write(f"$ {shlex.join(['entroscape', *sys.argv[1:]])}\n")
        if job := os.environ.get("SLURM_JOB_ID"):
            sys.stderr.write(f"Slurm job {job} on {socket.gethostname()}\n")
    try:
        app()
    except UnusableFile as mistake:
        sys.exit(f"entroscape: {_set_aside(mistake) if RESULTS in mistake.path.parts else mistake}")
    except EntroscapeError as mistake:
        sys.exit(f"entroscape: {mistake}")


def _set_aside(mistake: UnusableFile) -> str:
    """Rename the file, so that the workflow makes it again; the sentence that says so."""
    from entroscape.files import set_aside

    aside = set_aside(mistake.path)
    return f"{mistake.path} {mistake.reason}: it is kept as {aside}, run again to have a new one made"


@app.command()
def fetch(
    settings: Annotated[str, typer.Option(help="what to fetch, a `source` of some data section, as JSON")],
    output: File,
) -> None:
    """Fetch a file that data are made from, and verify it."""
    from entroscape.config.settings import fetch_settings
    from entroscape.verbs import fetch as verb

    verb.run(fetch_settings(settings), output=output)


@app.command()
def prepare(
    experiment: Experiment,
    scale: Scale,
    output: File,
    sources: Annotated[Path, typer.Option(file_okay=False, help="folder of the files that were fetched")] = SOURCES,
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Make the data of an experiment."""
    from entroscape.verbs import prepare as verb

    verb.run(settings_for("prepare", experiment, None, scale, config_dir), sources=sources, output=output)


@app.command()
def search(
    experiment: Experiment,
    variant: Variant,
    scale: Scale,
    data: File,
    output: File,
    threads: Threads = 1,
    device: Device = "cpu",
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Search learning rate and batch size of the baselines."""
    from entroscape.verbs import search as verb

    settings = settings_for("search", experiment, variant, scale, config_dir)
    verb.run(settings, data=data, output=output, threads=threads, device=device)


@app.command()
def train(
    experiment: Experiment,
    variant: Variant,
    scale: Scale,
    data: File,
    search: File,
    output: File,
    seeds: File,
    threads: Threads = 1,
    device: Device = "cpu",
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Train the baselines, and collect states for the sampler to start from."""
    from entroscape.verbs import train as verb

    settings = settings_for("train", experiment, variant, scale, config_dir)
    verb.run(settings, data=data, search=search, output=output, seeds=seeds, threads=threads, device=device)


@app.command()
def sample(
    experiment: Experiment,
    variant: Variant,
    scale: Scale,
    replica: Annotated[int, typer.Option(min=0, help="number of this independent run")],
    data: File,
    seeds: File,
    output: File,
    checkpoint: File,
    threads: Threads = 1,
    device: Device = "cpu",
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Sample a landscape once, going on from the checkpoint if there is one."""
    from entroscape.verbs import sample as verb

    verb.run(
        settings_for("sample", experiment, variant, scale, config_dir),
        replica=replica,
        data=data,
        seeds=seeds,
        output=output,
        checkpoint_path=checkpoint,
        threads=threads,
        device=device,
    )


@app.command()
def step_size(scale: Scale, output: File, config_dir: ConfigDir = CONFIG) -> None:
    """Measure what a finite time step does to each integrator of molecular dynamics."""
    from entroscape.config.load import load_step_size
    from entroscape.verbs import step_size as verb

    verb.run(load_step_size(scale, config_dir), output=output)


@app.command()
def course(
    name: Course,
    scale: Scale,
    output: File,
    search: Annotated[Path | None, typer.Option(dir_okay=False, help="what the search for WanD's bias wrote")] = None,
    threads: Threads = 1,
    device: Device = "cpu",
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Train the runs of a course on modular arithmetic."""
    from entroscape.config.load import load_course
    from entroscape.verbs import course as verb

    settings = load_course(name, scale, config_dir)
    verb.run(settings, search=search, output=output, threads=threads, device=device)


@app.command()
def search_wand(
    scale: Scale, output: File, threads: Threads = 1, device: Device = "cpu", config_dir: ConfigDir = CONFIG
) -> None:
    """Search the bias of WanD, and see what else it depends on."""
    from entroscape.config.courses import SearchSettings
    from entroscape.config.load import load_courses
    from entroscape.verbs import search_wand as verb

    settings = SearchSettings.of(load_courses(scale, config_dir))
    verb.run(settings, output=output, threads=threads, device=device)


@app.command()
def step_cost(scale: Scale, output: File, config_dir: ConfigDir = CONFIG) -> None:
    """Measure what a step of AdamW and one of WanD take."""
    from entroscape.config.courses import CostSettings
    from entroscape.config.load import load_courses
    from entroscape.verbs import step_cost as verb

    verb.run(CostSettings.of(load_courses(scale, config_dir)), output=output)


@app.command()
def speed(
    experiment: Experiment,
    variant: Variant,
    scale: Scale,
    data: File,
    output: File,
    threads: Threads = 1,
    device: Device = "cpu",
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Measure within seconds how fast a variant is sampled and trained here."""
    from entroscape.config.load import load_experiment
    from entroscape.config.settings import trained_variants
    from entroscape.verbs import speed as verb

    def settings(of: str) -> Any:
        return settings_for(of, experiment, variant, scale, config_dir)

    own = variant in trained_variants(load_experiment(experiment, scale, config_dir))
    training = (settings("search"), settings("train")) if own else None
    verb.run(settings("sample"), training, data=data, output=output, threads=threads, device=device)


@app.command()
def course_speed(scale: Scale, output: File, device: Device = "cpu", config_dir: ConfigDir = CONFIG) -> None:
    """Measure how long steps of all courses of training take here."""
    from entroscape.config.courses import CourseSettings, SearchSettings
    from entroscape.config.load import load_courses
    from entroscape.verbs import course_speed as verb

    courses = load_courses(scale, config_dir)
    all_courses = [CourseSettings.of(courses, name) for name in courses.courses]
    verb.run(all_courses, SearchSettings.of(courses), output=output, device=device)


@app.command()
def cost(
    figures: Annotated[str, typer.Option(help="items that each figure shows, as JSON")],
    published: Annotated[str, typer.Option(help="published GPU-hours of figures, as JSON")],
    speed: Files,
    output: File,
) -> None:
    """Estimate what a scale costs, figure by figure, from measured speeds."""
    from entroscape.verbs import cost as verb

    verb.run(json.loads(figures), json.loads(published), speeds=speed, output=output)


@app.command()
def merge(
    experiment: Experiment,
    variant: Variant,
    scale: Scale,
    replica: Files,
    timing: Files,
    output: File,
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Merge independent runs into a landscape with errors."""
    from entroscape.verbs import merge as verb

    settings = settings_for("merge", experiment, variant, scale, config_dir)
    verb.run(settings, replicas=replica, timings=timing, output=output)


@app.command()
def analyse(
    experiment: Experiment,
    variant: Variant,
    scale: Scale,
    landscape: File,
    training: File,
    curves: File,
    low_loss: File,
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Compute equilibrium, maximum-entropy and trained curves, and how far they lie apart."""
    from entroscape.verbs import analyse as verb

    settings = settings_for("analyse", experiment, variant, scale, config_dir)
    verb.run(settings, landscape=landscape, training=training, curves=curves, low_loss=low_loss)


@app.command()
def milestones(output: File, course: SomeFiles = None, step_cost: SomeFiles = None) -> None:
    """Find when every run of some courses of training learns and generalises."""
    from entroscape.verbs import milestones as verb

    verb.run(courses=course or [], step_cost=step_cost or [], output=output)


@app.command()
def claims(
    scale: Scale,
    output: File,
    experiments: Annotated[list[str] | None, typer.Argument(help="experiments whose claims are judged")] = None,
    low_loss: SomeFiles = None,
    milestones: SomeFiles = None,
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Judge the published claims about some experiments and, given their milestones, about courses of training."""
    from entroscape.config.settings import claims_settings
    from entroscape.verbs import claims as verb

    settings = claims_settings(scale, experiments or [], config_dir, courses=bool(milestones))
    verb.run(settings, low_loss=low_loss or [], milestones=milestones or [], output=output)


@app.command()
def notebook(
    notebook: Annotated[Path, typer.Argument(dir_okay=False, help="the source notebook")],
    parameters: Annotated[str, typer.Option(help="values of all its parameters, as JSON")],
    output: File,
    html: File,
    log: File,
) -> None:
    """Execute a notebook; if it fails, the executed copy stays where `log` says."""
    from entroscape.verbs import notebook as verb

    verb.run(notebook, json.loads(parameters), output=output, html=html, log=log)


@app.command()
def check(
    scale: Scale,
    results: Annotated[Path, typer.Option(file_okay=False, help="folder of the results of this scale")],
    config_dir: ConfigDir = CONFIG,
) -> None:
    """Look whether all results are whole, and made as they would be now; set aside what is not."""
    from entroscape.verbs import check as verb

    verb.run(scale, results=results, config_dir=config_dir)


@app.command()
def index(
    scale: Scale,
    figures: Annotated[str, typer.Option(help="the figures (entroscape.verbs.index.Figure), as a JSON list")],
    claims: File,
    output: File,
    watermark: Annotated[str | None, typer.Option(help="text that marks the page as no result")] = None,
) -> None:
    """Write the page that leads to all figures and verdicts."""
    from pydantic import TypeAdapter

    from entroscape.verbs import index as verb

    entries = TypeAdapter(list[verb.Figure]).validate_json(figures)
    title = "Entropy landscapes of neural networks"
    verb.run(figures=entries, claims=claims, output=output, title=title, scale=scale, watermark=watermark)


if __name__ == "__main__":
    main()
