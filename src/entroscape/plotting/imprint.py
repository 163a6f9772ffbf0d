"""What a figure says about itself: where its numbers come from, and whether they are to be trusted at all."""

import json
from collections.abc import Iterable, Sequence

import xarray as xr

from entroscape.landscape import convergence
from entroscape.plotting.style import Imprint

_METHODS = {
    "first_order": "molecular dynamics (first order)",
    "baoab": "molecular dynamics (BAOAB)",
    "hmc": "Hamiltonian Monte Carlo",
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def make_imprint(
    scale: str,
    watermark: str,
    landscapes: Iterable[xr.Dataset],
    runs: int | tuple[int, int] | None = None,
    notes: Iterable[str] = (),
) -> Imprint:
    """Imprint of a figure that shows these landscapes; those that have not converged are named in a warning.

    runs: independent training runs per protocol, or the fewest and most of them, if the figure shows any;
    notes: what else a reader must know, such as data that stand in for others.
    """
    landscapes = list(landscapes)
    parts = [f"{scale} scale", *sampling_lines(landscapes)]
    parts += [cost_line(landscape) for landscape in landscapes if len(landscapes) == 1 and "seconds" in landscape.attrs]
    if runs is not None:
        fewest, most = runs if isinstance(runs, tuple) else (runs, runs)
        parts.append(
            f"{fewest}–{most} training runs per point" if fewest < most else f"{most} training runs per protocol"
        )
    return Imprint(" · ".join([*parts, *notes]), watermark, tuple(warnings(landscapes)))


def warnings(landscapes: Sequence[xr.Dataset]) -> list[str]:
    """What is wrong with the only landscape of a figure, or which of its landscapes have not converged."""
    verdicts = [(one, convergence.judge(one)) for one in landscapes]
    failed = [one for one, verdict in verdicts if verdict.judged and not verdict.passes]
    if not failed:
        return []
    if len(landscapes) == 1:
        sentence = convergence.judge(failed[0]).sentence
        return [sentence[0].upper() + sentence[1:]]
    names: dict[str, list[str]] = {}
    for one in failed:
        experiment, _, variant = convergence.name(one).partition(" ")
        names.setdefault(experiment, []).append(variant.replace("width-", "width "))
    listed = "; ".join(f"{experiment.replace('_', ' ')} {', '.join(found)}" for experiment, found in names.items())
    return [f"Not converged (see the page on convergence): {listed}"]


def sampling_lines(landscapes: Iterable[xr.Dataset]) -> list[str]:
    """How landscapes were sampled, a line per manner: procedure, replicas, walkers, windows, moves of each walker."""
    moves: dict[tuple[str, str], list[float]] = {}
    for landscape in landscapes:
        known = [landscape.attrs["moves"]] if "moves" in landscape.attrs else []
        moves.setdefault(_manner(landscape), []).extend(known)
    return [f"{line}, {_range(made)} {what} per walker" if made else line for (line, what), made in moves.items()]


def _manner(landscape: xr.Dataset) -> tuple[str, str]:
    """Procedure, replicas, walkers and windows; what its moves are called."""
    procedure = json.loads(landscape.attrs.get("settings", "{}")).get("procedure", {})
    replicas = landscape.sizes["replica"]
    if "window_edges" in landscape:
        walkers, windows = landscape.sizes["unit"] // replicas, landscape.sizes["window"]
        line = f"{_METHODS.get(procedure.get('integrator', ''), 'replica exchange')}: {_count(replicas, 'replica')} of "
        line += f"{_count(walkers, 'walker')} in each of {_count(windows, 'window')}"
    else:
        line = f"published procedure: {_count(replicas, 'run')}"
        if "instances" in procedure:
            line += f" of {_count(procedure['instances'], 'instance')}"
    return line, "steps" if "integrator" in procedure else "moves"


def cost_line(landscape: xr.Dataset) -> str:
    """What sampling a landscape took: updates of a walker per second, and the memory of a job if that is known."""
    speed = f"{power_of_ten(landscape.attrs['updates'] / landscape.attrs['seconds'])} walker updates/s"
    memory = landscape.attrs.get("peak_memory_mb")
    return speed if memory is None else f"{speed}, {memory / 1000:.1f} GB per job"


def power_of_ten(number: float) -> str:
    """A count as in 2.5 × 10⁷; written out below 10,000."""
    if number < 10_000:
        return f"{number:,.0f}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _range(numbers: Sequence[float]) -> str:
    """A number, or the lowest and the highest of several."""
    return " to ".join(dict.fromkeys(map(power_of_ten, (min(numbers), max(numbers)))))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
