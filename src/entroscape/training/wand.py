"""WanD: Wang-Landau dynamics on the entropy of ln L as an optimizer (arXiv:2505.11411, section 5, algorithm 1).

The parameters move as in molecular dynamics with a strong thermostat, in the potential S(ln L): a bias
beta (ln L - onset)^2 above `onset` that drives the loss down, and small deposits that a visit leaves behind, so that no
loss is stayed at. `WanD` is the optimizer for any model; `WanDRuns` trains a batch of independent runs.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from entroscape.sampling.entropy_map import Nodes
from entroscape.training.adam import Means

Annealing = Literal["printed", "described"]


def wand_weight(accuracy: Tensor, annealing: Annealing) -> Tensor:
    """Weight alpha of WanD's step beside AdamW's at accuracies in 0 ... 1 (arXiv:2505.11411, appendix B.3).

    "printed": (2 A - 1)^2, the formula of the paper. "described": 1 - (2 A - 1)^2, which first rises and then falls, as
    its text says. With the accuracy on test data, as published, the test data guide the training.
    """
    printed = (2 * accuracy - 1) ** 2
    return printed if annealing == "printed" else 1 - printed


class EntropyOfLoss(NamedTuple):
    """Geometry and bias of the maps S(ln L) of R runs."""

    nodes: Nodes
    bias: float
    onset: float
    deposit_width: float  # in bins

    @classmethod
    def of(
        cls,
        axis: tuple[float, float, float],
        bias: float,
        onset: float,
        deposit_width: float,
        device: torch.device | str = "cpu",
    ) -> "EntropyOfLoss":
        """Maps with bins on an axis (min, max, bin width)."""
        lower, upper, width = axis
        edges = torch.tensor([[lower, upper]], dtype=torch.float64, device=device)
        return cls(Nodes.of(lower, width, round((upper - lower) / width), edges), bias, onset, deposit_width)

    def zeros(self, runs: int) -> Tensor:
        """Maps without deposits, float64[R, bins]."""
        return torch.zeros(runs, self.nodes.count, dtype=torch.float64, device=self.nodes.edges.device)

    def slope(self, deposits: Tensor, x: Tensor) -> Tensor:
        """dS/dx at x[R] = ln L, bias included; float64[R]. Beyond the axis the deposits go on as a straight line."""
        stencil = self.nodes.stencil(x.double().unsqueeze(1))
        inside = (stencil.slope.squeeze(1) * deposits.gather(1, stencil.node.squeeze(1))).sum(1)
        return inside + 2 * self.bias * (x.double() - self.onset).clamp(min=0)

    def deposit(self, deposits: Tensor, x: Tensor, height: float) -> None:
        """Raise the map of each run by a Gaussian of this height at x[R], in place; nowhere if x is not finite."""
        bump = self.nodes.gaussian(x.double().unsqueeze(1), self.deposit_width).squeeze(1)
        deposits += height * bump


def deposit_share(step: int, steps_to_peak: int) -> float:
    """Height of a deposit in step 1, 2, ... as a share of the largest: min(t / t_WL, t_WL / t), equation 3."""
    return min(step / steps_to_peak, steps_to_peak / step)


def kick(velocity: Tensor, force: Tensor, noise: Tensor, step: float, friction: float, temperature: float) -> Tensor:
    """v (1 - c_f) + force step + sqrt(c_f (2 - c_f) kT) noise: the thermostat keeps <v^2> = kT without a force.

    Places are then distributed as at the temperature kT (1 - c_f / 2), however short the step.
    """
    return velocity * (1 - friction) + step * force + math.sqrt(friction * (2 - friction) * temperature) * noise


class WanD(Optimizer):
    """Wang-Landau dynamics as an optimizer for any model.

    `step` needs a closure that clears the gradients, computes the loss, which must be above zero, calls `backward` and
    returns the loss, of the full batch: S is a function of ln L, and a noisy ln L would smear it.

    Parameters
    ----------
    lr
        Time step. Too large: the loss blows up; too small: nothing moves. The drive grows as lr * bias.
    temperature
        kT of the thermostat: too high and noise keeps the loss up, too low and it is gradient descent with friction.
    friction
        c_f in (0, 2), share of the velocity that a step loses. Too low: the loss overshoots; near 1: it creeps.
    bias, onset
        beta and L0 of the bias beta (ln L - L0)^2 above L0. Too weak: training stalls at the loss where noise and drive
        balance; too strong: the first steps throw the parameters far away.
    factor, factor_steps, deposit_width, axis
        Deposits: largest height F_WL, the step t_WL at which they are highest, width in bins, and the bins (min, max,
        width) in ln L. Too high: the run is thrown out of every minimum; zero leaves the bias alone.
    annealing, adamw_lr, betas, weight_decay
        With an annealing the step is alpha of WanD's plus 1 - alpha of AdamW's with these settings, alpha as
        `wand_weight` says; call `anneal(accuracy)` whenever the accuracy is known. Until then alpha is 1.
    generator
        Of the noise, on the device of the parameters; by default torch's own.

    Learning rates, temperature, friction and AdamW's settings may differ between parameter groups. Raises ValueError
    for impossible values, and when the loss is not above zero.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        *,
        temperature: float = 0.5,
        friction: float = 0.5,
        bias: float = 3000.0,
        onset: float = -8.0,
        factor: float = 0.1,
        factor_steps: int = 1000,
        deposit_width: float = 1.0,
        axis: tuple[float, float, float] = (-12.0, 3.0, 0.1),
        annealing: Annealing | None = None,
        adamw_lr: float | None = None,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
        generator: Generator | None = None,
    ) -> None:
        for name, value in {"lr": lr, "temperature": temperature, "bias": bias, "deposit_width": deposit_width}.items():
            if not value > 0:
                raise ValueError(f"{name} must be above 0, but is {value}")
        if not 0 < friction < 2:
            raise ValueError(f"friction must be above 0 and below 2, but is {friction}")
        if not (factor >= 0 and factor_steps >= 1):
            raise ValueError(f"factor must be at least 0 and factor_steps at least 1, but are {factor}, {factor_steps}")
        group = {"lr": lr, "temperature": temperature, "friction": friction, "betas": betas, "alpha": 1.0}
        super().__init__(
            params, group | {"adamw_lr": lr if adamw_lr is None else adamw_lr, "weight_decay": weight_decay}
        )
        self.entropy = EntropyOfLoss.of(axis, bias, onset, deposit_width)
        self.factor, self.factor_steps, self.annealing, self.generator = factor, factor_steps, annealing, generator

    def anneal(self, accuracy: float) -> None:
        """Set the weight of WanD's step from an accuracy in 0 ... 1; raises ValueError without an annealing."""
        if self.annealing is None:
            raise ValueError('annealing must be "printed" or "described" to anneal, but is None')
        alpha = float(wand_weight(torch.tensor(accuracy), self.annealing))
        for group in self.param_groups:
            group["alpha"] = alpha

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns the loss."""
        if closure is None:
            raise ValueError("WanD needs a closure that computes the loss, as torch.optim.LBFGS does")
        with torch.enable_grad():
            loss = closure()
        value = float(torch.as_tensor(loss).detach())
        if not value > 0:
            raise ValueError(f"the loss must be above 0, since S is a function of its logarithm, but is {value}")
        shared = self._shared()
        x = torch.tensor([value], dtype=torch.float64).log()
        slope = float(self.entropy.slope(shared["deposits"], x))
        shared["steps"] += 1
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._move(parameter, group, -slope / value, shared["steps"])
        self.entropy.deposit(shared["deposits"], x, self.factor * deposit_share(shared["steps"], self.factor_steps))
        return loss

    def _shared(self) -> dict[str, Any]:
        """What belongs to no parameter: kept with the first one, so that `state_dict` has it."""
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        if "deposits" not in state:
            state.update(deposits=self.entropy.zeros(1), steps=0)
        # loading a state casts it to the type of the parameter
        state["deposits"] = state["deposits"].to("cpu", torch.float64)
        return state

    def _move(self, parameter: Tensor, group: dict[str, Any], force_per_gradient: float, steps: int) -> None:
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        noise = torch.empty_like(parameter).normal_(generator=self.generator)
        gradient, alpha = parameter.grad, group["alpha"]
        assert gradient is not None
        force = force_per_gradient * gradient
        state["velocity"] = kick(state["velocity"], force, noise, group["lr"], group["friction"], group["temperature"])
        move = group["lr"] * state["velocity"]
        if self.annealing is not None:
            if "mean" not in state:
                state["mean"], state["square"] = Means.zeros(parameter)
            means = Means(state["mean"], state["square"])
            means.add(gradient, group["betas"])
            decayed = means.move(steps, group["betas"]) + group["weight_decay"] * parameter
            move = alpha * move - (1 - alpha) * group["adamw_lr"] * decayed
        parameter += move


class WanDRuns:
    """WanD for R independent runs theta[R, P] at once, each with a map of its own."""

    def __init__(
        self,
        theta: Tensor,
        entropy: EntropyOfLoss,
        *,
        learning_rate: float,
        temperature: float,
        friction: float,
        factor: float,
        factor_steps: int,
        generator: Generator,
    ) -> None:
        self.entropy, self.factor, self.factor_steps, self.generator = entropy, factor, factor_steps, generator
        self.learning_rate, self.temperature, self.friction = learning_rate, temperature, friction
        self.velocity, self.deposits = torch.zeros_like(theta), entropy.zeros(len(theta))
        self.steps = 0

    def move(self, gradient: Tensor, loss: Tensor) -> Tensor:
        """What is added to theta, [R, P], for the gradient[R, P] of the loss[R] where the runs are."""
        x = loss.double().log()
        push = -self.entropy.slope(self.deposits, x) / loss.double()
        self.steps += 1
        noise = torch.randn(gradient.shape, generator=self.generator, dtype=gradient.dtype, device=gradient.device)
        force = push.unsqueeze(1).to(gradient.dtype) * gradient
        self.velocity = kick(self.velocity, force, noise, self.learning_rate, self.friction, self.temperature)
        self.entropy.deposit(self.deposits, x, self.factor * deposit_share(self.steps, self.factor_steps))
        return self.learning_rate * self.velocity
