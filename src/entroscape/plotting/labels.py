"""How test metrics are written on axes and in legends, by their names."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from entroscape.landscape.metric import ACCURACY, LOGIT, LOSS, SMOOTH, Metric

LOSS_LABEL = "training loss, ln $L_\\mathrm{train}$"
_TICKS = (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999)  # accuracies on a logit axis


@dataclass(frozen=True)
class Label:
    """`axis` label, `symbol` in mathematical text without dollars, and its `mean` over states."""

    axis: str
    symbol: str
    mean: str


LABELS = {
    ACCURACY: Label("test accuracy $A_\\mathrm{test}$", "A_\\mathrm{test}", "⟨A⟩"),
    SMOOTH: Label("smoothed test accuracy $\\tilde{A}_\\mathrm{test}$", "\\tilde{A}_\\mathrm{test}", "⟨Ã⟩"),
    LOGIT: Label("smoothed test accuracy $\\tilde{A}_\\mathrm{test}$", "\\tilde{A}_\\mathrm{test}", "⟨logit Ã⟩"),
    LOSS: Label("test loss, ln $L_\\mathrm{test}$", "\\ln L_\\mathrm{test}", "⟨ln L⟩"),
}


def difference(name: str) -> str:
    """Label of the advantage of equilibrium over training: positive is better, whatever the metric."""
    label = LABELS[name]
    if name == LOSS:
        return f"advantage $\\ln L_\\mathrm{{test}}^\\mathrm{{trained}}$ − {label.mean}"
    return f"advantage {label.mean} − $A_\\mathrm{{trained}}$"


def metric_axis(axes: Axes, metric: Metric) -> None:
    """Label the y axis; that of a logit has its ticks at accuracies."""
    axes.set_ylabel(LABELS[metric.name].axis)
    if metric.name == LOGIT:
        low, high = axes.get_ylim()
        ticks = [tick for tick in _TICKS if low <= metric.coordinate(tick) <= high]
        axes.set_yticks(metric.coordinate(np.array(ticks)), [f"{tick:g}" for tick in ticks])
        axes.set_ylim(low, high)
