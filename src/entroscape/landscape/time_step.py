"""Whether the time step of a run without a Metropolis test was short enough for its S.

`baoab` and `first_order` sample a density that is not quite exp(-U). Where a step gains energy that it should not, a
test would reject it; how often, in the worst column or row of a window, tells how wrong S can be there. The mean over
the window does not: what goes wrong happens in its stiffest part, where walkers spend a small share of their time,
while most rejections of a harmless run are of walkers in the walls, who are not counted. Nor does the kinetic
temperature: steps that are too long may cool as well as heat, and where few walkers are hot it cannot be told from
noise (docs/method.md has the measurements).
"""

import json

import numpy as np
import xarray as xr

# Up to these shares no two columns were found to be off against each other by more than 0.21 of S. With the first-order
# step, whose noise counts as gained energy, more is rejected at the same bias.
LARGEST_REJECTED = {"baoab": 0.02, "first_order": 0.05}
FEWEST_STEPS = 500  # in a column or row of a window, in all replicas: fewer do not tell a share of 0.02


def integrator(landscape: xr.Dataset) -> str:
    """Name of the integrator, from the attributes or the settings in them; "" where nothing says so."""
    if "integrator" in landscape.attrs:
        return str(landscape.attrs["integrator"])
    return str(json.loads(landscape.attrs.get("settings", "{}")).get("procedure", {}).get("integrator", ""))


def rejected(landscape: xr.Dataset) -> float:
    """Largest share of the steps begun in a column or a row of a window that a Metropolis test would have rejected.

    From steps_begun and steps_accepted[replica, window, columns, rows], sums over production in the bins where steps
    began. Columns and rows with fewer than `FEWEST_STEPS` do not count; nan if there is no other, and if a file does
    not have these sums.
    """
    if "steps_begun" not in landscape:
        return np.nan
    begun, accepted = (landscape[name].sum("replica").to_numpy() for name in ("steps_begun", "steps_accepted"))
    shares = []
    for axis in (2, 1):  # columns, then rows
        steps, kept = begun.sum(axis=axis, dtype=float), accepted.sum(axis=axis, dtype=float)
        told = steps >= FEWEST_STEPS
        shares.append(1 - kept[told] / steps[told])
    found = np.concatenate(shares)
    return float(found.max()) if found.size else np.nan


def excess(landscape: xr.Dataset) -> float:
    """How many times more steps than may be would have been rejected where it is worst: up to 1 is fine.

    0 where a Metropolis test was made, or nothing has a time step: there is no bias then. nan where it is not known.
    """
    if "time_step" not in landscape or integrator(landscape) == "hmc":
        return 0.0
    return rejected(landscape) / LARGEST_REJECTED.get(integrator(landscape), np.nan)
