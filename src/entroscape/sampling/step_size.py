"""Adaptation of the proposal's half width to the acceptance rate."""

import numpy as np

from entroscape.config.sampler import StepSize


def adapt(sigma: np.ndarray, acceptance: np.ndarray, rule: StepSize) -> np.ndarray:
    """Widen where too much is accepted, narrow where too little; arrays of equal shape.

    Adapting while measuring would break detailed balance: call this before the production stage only.
    """
    wider = np.minimum(sigma * rule.grow, rule.max)
    return np.where(
        acceptance > rule.acceptance_high, wider, np.where(acceptance < rule.acceptance_low, sigma * rule.shrink, sigma)
    )


def equilibrated(acceptance: np.ndarray, sigma: np.ndarray, rule: StepSize) -> bool:
    """Whether no sigma would change any more."""
    return bool(np.all(adapt(sigma, acceptance, rule) == sigma))
