"""Tables of courses of training as the verbs write them, made from formulas."""

import json

import numpy as np
import pandas as pd

from entroscape.analysis.courses import Course
from entroscape.config.courses import CourseSettings, Stop
from entroscape.config.load import load_courses
from entroscape.config.settings import settings_json

COURSES = load_courses("paper")


def run(number: int, steps: np.ndarray, train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """Rows of one run with these accuracies at these steps; norm and losses are made up, the norm is the step."""
    return pd.DataFrame(
        {
            "run": number,
            "step": steps,
            "train_loss": 1e-3 + 4 * (1 - train),
            "test_loss": 1e-3 + 6 * (1 - test),
            "train_accuracy": train,
            "test_accuracy": test,
            "weight_norm": steps.astype(float),
            "alpha": np.nan,
        }
    )


def stamped(table: pd.DataFrame, name: str, steps: int = 10_000, stop: bool = False, **attributes) -> pd.DataFrame:
    """The table as the file of the course `name`, which was to make so many steps."""
    known = CourseSettings.of(COURSES, name if name in COURSES.courses else "add")
    settings = known.model_copy(
        update={
            "name": name,
            "course": known.course.model_copy(update={"steps": steps, "runs": int(table["run"].nunique())}),
            "stop": Stop(accuracy=0.99, steps=500, lost=None) if stop else None,
        }
    )
    table = table.assign(course=name)
    table.attrs = {
        "settings": settings_json(settings),
        "code_digest": "0123456789abcdef",
        "device": "cpu",
        **attributes,
    }
    return table


def step_cost(rounds: list[tuple[float, float]]) -> pd.DataFrame:
    """Seconds per step of AdamW and of WanD in each round."""
    rows = [
        {"optimizer": optimizer, "round": number, "seconds_per_step": seconds}
        for number, pair in enumerate(rounds)
        for optimizer, seconds in zip(("adamw", "wand"), pair, strict=True)
    ]
    return pd.DataFrame(rows)


def course(name: str, last: int = 3000, steps: int = 3000, runs: int | None = None, seed: int = 0) -> Course:
    """A course with the settings of config/courses.yaml whose runs behave as such runs do; `last`: steps made."""
    settings = CourseSettings.of(COURSES, name).course
    count = runs or settings.runs
    tables = [_run(name, number, last, seed) for number in range(count)]
    return Course.of(stamped(pd.concat(tables, ignore_index=True), name, steps, stop=last < steps))


def _run(name: str, number: int, last: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng([number, seed, *name.encode()])
    settings = COURSES.courses[name]
    step = np.arange(0, last + 1, 10)
    kind, scatter = settings.optimizer.kind, np.exp(0.15 * random.normal())
    late = {"add": 500, "square": 1500, "cubic": 1e6}[settings.operation] * np.exp(-7 * (settings.train_fraction - 0.5))
    late = 800 if kind == "wand" else 0.6 * late if kind == "hybrid" else late
    early = 0.6 * late if kind == "wand" else 130
    train = _rise(step, early * scatter, 3)
    test = 0.98 * _rise(step, (late + 100) * scatter, 5) * train + 0.015
    test = np.where(_rise(step, (late + 100) * scatter, 5) > 0.98, 1.0, test)
    table = run(number, step, np.where(train > 0.97, 1.0, train), np.minimum(test, 1.0))
    if kind == "adamw":
        _spike(table, random)
    noise = np.where(table["train_accuracy"] < 1, 0.02, 0.002) * random.normal(size=len(table)) * (kind != "adamw")
    for accuracy in ("train_accuracy", "test_accuracy"):
        table[accuracy] = np.clip(table[accuracy] + noise, 0, 1)
    table["train_loss"] = np.exp(-9 * table["train_accuracy"] * step / (step + 300)) * 4.2 * np.exp(random.normal() / 9)
    table["test_loss"] = 4.2 + 6 * train - 10.1 * table["test_accuracy"]
    table["weight_norm"] = 36 + 0.05 * step * scatter / (1 + step / 6000) if kind == "wand" else 36 - 12 * train * test
    if kind == "hybrid":
        annealing = settings.optimizer.annealing
        printed = (2 * table[f"{annealing.accuracy}_accuracy"] - 1) ** 2
        table["alpha"] = printed if annealing.weight == "printed" else 1 - printed
    return table


def _rise(step: np.ndarray, middle: float, power: float) -> np.ndarray:
    return step**power / (step**power + middle**power)


def _spike(table: pd.DataFrame, random: np.random.Generator) -> None:
    """Slingshots: short falls of both accuracies, late in a run."""
    for place in random.integers(len(table) // 2, len(table), size=2):
        table.loc[place : place + 2, ["train_accuracy", "test_accuracy"]] *= 0.6


def search(runs: int = 4) -> pd.DataFrame:
    """A search for settings of WanD: too weak a bias never generalises, too strong a one blows up."""
    random, rows = np.random.default_rng(2), []
    best = {"bias": 2000, "learning_rate": 3e-3, "temperature": 0.5, "friction": 0.5, "factor": 0.1}
    for parameter, chosen in best.items():
        for value in getattr(COURSES.search, parameter):
            for number in range(runs):
                off = np.log(value / chosen)
                steps = 700 * np.exp(0.5 * off**2 + 0.1 * random.normal())
                never, diverged = steps > 3000, bool(off > 1.5)
                rows.append(
                    {
                        "parameter": parameter,
                        "value": float(value),
                        "run": number,
                        "chosen": parameter == "bias" and value == chosen,
                        "steps_to_generalise": np.nan if never or diverged else 10 * round(steps / 10),
                        "best_test_accuracy": 0.5 if never or diverged else 1.0,
                        "final_train_accuracy": 1.0,
                        "final_test_accuracy": 0.4 if never else 1.0,
                        "largest_gap": np.nan if diverged else min(0.9, 0.05 + 0.1 * off**2 + 0.03 * random.random()),
                        "final_norm": 120.0,
                        "diverged": diverged,
                    }
                )
    table = pd.DataFrame(rows)
    base = CourseSettings.of(COURSES, COURSES.search.course).model_dump(mode="json")
    settings = {"base": base, "search": COURSES.search.model_dump(mode="json")}
    table.attrs = {"settings": json.dumps(settings), "code_digest": "0123456789abcdef", "device": "cpu"}
    return table
