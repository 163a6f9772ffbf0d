"""What a figure of courses of training says about itself."""

from collections.abc import Iterable, Sequence

import numpy as np

from entroscape.analysis.courses import Course
from entroscape.config.courses import LEARNT
from entroscape.plotting.style import Imprint

PUBLISHED_STEPS = 10_000  # of every course; arXiv:2505.11411, appendix A.2


def make_course_imprint(
    scale: str,
    watermark: str,
    courses: Sequence[Course],
    notes: Iterable[str] = (),
    warnings: Iterable[str] = (),
    *,
    curves: bool = True,
) -> Imprint:
    """Imprint of a figure that shows these courses of training: runs, steps, and why they may be fewer than published.

    notes: what else a reader must know; warnings: what must not be overlooked; curves: whether runs are drawn as median
    and band.
    """
    parts = [f"{scale} scale", _runs_line(courses)]
    stopped = [course for course in courses if course.stopped]
    if stopped:
        which = "" if len(stopped) == len(courses) else f" ({', '.join(course.name for course in stopped)})"
        drawn = ", keeping its last values (dotted line: the first end)" if curves else ""
        parts.append(f"each run ends early{which}{drawn}: {_early(stopped[0])}")
    biases = dict.fromkeys(course.table.attrs["bias"] for course in courses if "bias" in course.table.attrs)
    parts += [f"bias of WanD {bias:g}, found by a search (GR-9)" for bias in biases]
    planned = max(course.settings.course.steps for course in courses)
    if planned < PUBLISHED_STEPS:
        parts.append(f"at most {planned:,} steps here, {PUBLISHED_STEPS:,} published")
    if curves:
        parts.append(f"line: median over runs, band: all runs, ticks above: each run's first step at {LEARNT:g}")
    return Imprint(" · ".join([*parts, *notes]), watermark, tuple(warnings))


def _runs_line(courses: Sequence[Course]) -> str:
    """Runs and steps of each course, or their ranges where there are many."""
    if len(courses) <= 3:
        return "; ".join(f"{one.name}: {_runs(one)} of {_range(one.ends)} steps" for one in courses)
    runs, steps = [one.runs for one in courses], np.concatenate([one.ends for one in courses])
    return f"{len(courses)} courses of {_range(runs)} runs and {_range(steps)} steps"


def _range(values: Sequence[int] | np.ndarray) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _early(course: Course) -> str:
    stop = course.settings.stop
    if stop is None:
        return ""
    settled, lost = f"settled, {stop.steps:,} steps after test accuracy {stop.accuracy:g}", stop.lost
    after = lost and f"lost, {lost.steps:,} steps after train accuracy was last {lost.accuracy:g}"
    return f"{settled}, or {after}" if after else settled


def _runs(course: Course) -> str:
    return f"{course.runs} run" + ("s" if course.runs > 1 else "")
