"""What is trained: a network on the points of a task, in one precision, and how its states are measured."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from entroscape.config.sampler import TestCoordinate
from entroscape.config.settings import SearchSettings, TrainSettings
from entroscape.data.dataset import TaskData
from entroscape.domains import Box, Domain
from entroscape.files import read_dataset
from entroscape.models import Network, make_network
from entroscape.models.checks import check_network
from entroscape.observables import correct, ln_loss, mean_loss, test_coordinates

# Networks of vectors are trained in float64 up to this many parameters, as the Monte Carlo sampler treats them: a step
# hardly takes longer. Larger ones and those of images are float32, which halves time and memory; ln L is then good to
# about 1e-6 down to -8, and bins are 0.01 and wider.
LARGEST_DOUBLE = 100_000

MEMORY = 2**29  # bytes that the runs treated at a time may take for states, gradients and activations
MEMORY_OF_A_GPU = 2**32  # the same there, where many small runs at a time take hardly longer than one
TENSORS_PER_RUN = 8  # of size P: state, gradient, two means of gradients, and what a step makes in between


@dataclass(frozen=True)
class Problem:
    """A network and a task's points as tensors of one floating-point type; labels stay integers."""

    network: Network
    x_train: Tensor  # [N, *shape]
    y_train: Tensor  # [N]
    x_test: Tensor  # [M, *shape]
    y_test: Tensor  # [M]
    domain: Domain  # where the sampler's walkers live

    @classmethod
    def of(cls, network: Network, data: TaskData, device: str = "cpu") -> "Problem":
        """The points in the precision that suits the network, on `device`.

        Raises DataError or ModelError where the network does not suit the points or their labels.
        """
        double = data.x_train.ndim == 2 and network.layout.size <= LARGEST_DOUBLE
        dtype = torch.float64 if double else torch.float32
        x_train, y_train, x_test, y_test = (
            torch.as_tensor(array).to(device, dtype if array.dtype.kind == "f" else torch.int64)
            for array in (data.x_train, data.y_train, data.x_test, data.y_test)
        )
        check_network(network, (x_train, x_test), (y_train, y_test))
        return cls(network, x_train, y_train, x_test, y_test, _rounded(network.domain, dtype).to(device, dtype))

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of states, points and gradients."""
        return self.domain.dtype

    @property
    def device(self) -> torch.device:
        """Where states, points and gradients are."""
        return self.domain.device

    @property
    def state_bytes(self) -> int:
        """Bytes of the parameters of one network."""
        return self.network.layout.size * self.dtype.itemsize

    @property
    def protocols(self) -> tuple[str, str]:
        """How runs are trained: free, as the plain optimizer does, and kept in the domain, by whose name."""
        return "free", self.domain.name

    @cached_property
    def train_points(self) -> Tensor:
        """All train points, as the network takes them fastest."""
        return self.network.prepare(self.x_train)

    @cached_property
    def test_points(self) -> Tensor:
        """All test points, as the network takes them fastest."""
        return self.network.prepare(self.x_test)

    def ln_train_loss(self, theta: Tensor) -> np.ndarray:
        """ln of the mean loss over all train points, float64[R], of states theta[R, P]."""
        parts = [self._ln_train_loss(part) for part in theta.split(self._measured_at_once)]
        return torch.cat(parts).double().cpu().numpy()

    def test(self, theta: Tensor, y: TestCoordinate | None = None) -> dict[str, np.ndarray]:
        """How states theta[R, P] do on the test points, [R] each: the columns that a training table has for it.

        Regression: ln_test_loss. Classification: test_accuracy, test_correct, and the y coordinate of a landscape
        under the name of its kind where that is another one.
        """
        parts = [self._test(part, y) for part in theta.split(self._measured_at_once)]
        return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}

    def inside(self, theta: Tensor) -> np.ndarray:
        """Whether the sampler's walkers could be there, bool[R]; false where a parameter is nan."""
        inside: np.ndarray = self.domain.inside(theta).cpu().numpy()
        return inside

    def runs_at_once(self, batch_size: int) -> int:
        """Number of runs whose training on minibatches of this size takes about `MEMORY`; at least one."""
        parameters = TENSORS_PER_RUN * self.state_bytes
        return max(1, self._memory // (parameters + batch_size * self._bytes_per_point))

    @torch.no_grad()
    def _ln_train_loss(self, theta: Tensor) -> Tensor:
        return ln_loss(self.network.logits(theta, self.train_points), self.y_train)

    @torch.no_grad()
    def _test(self, theta: Tensor, y: TestCoordinate | None) -> dict[str, Tensor]:
        logits = self.network.logits(theta, self.test_points)
        if self.y_test.is_floating_point():
            return {"ln_test_loss": ln_loss(logits, self.y_test).double()}
        right = correct(logits, self.y_test)
        columns = {"test_accuracy": right.double() / len(self.y_test), "test_correct": right}
        if y is not None and y.kind not in columns:
            columns[y.kind] = test_coordinates(logits, self.y_test, y)[0].double()
        return columns

    @property
    def _measured_at_once(self) -> int:
        """Number of states whose activations on all points take about `MEMORY`; at least one."""
        return max(1, self._memory // (max(len(self.y_train), len(self.y_test)) * self._bytes_per_point))

    @property
    def _memory(self) -> int:
        return MEMORY_OF_A_GPU if self.device.type == "cuda" else MEMORY

    @cached_property
    def _bytes_per_point(self) -> int:
        """Bytes that a run keeps of one point for the backward pass, with the point itself."""
        one, two = (self._bytes_for_backward(points) for points in (1, 2))
        return max(1, two - one)

    def _bytes_for_backward(self, points: int) -> int:
        kept = []

        def count(tensor: Tensor) -> Tensor:
            kept.append(tensor.numel() * tensor.element_size())
            return tensor

        theta = torch.zeros(1, self.network.layout.size, dtype=self.dtype, device=self.device, requires_grad=True)
        x, y = self.x_train[None, :points], self.y_train[None, :points]
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            mean_loss(self.network.logits(theta, x), y)
        return sum(kept)


def read_problem(settings: SearchSettings | TrainSettings, data: Path, device: str = "cpu") -> Problem:
    """The network of these settings on the points, or the first of them, that `prepare` wrote."""
    task = TaskData.from_dataset(read_dataset(data))
    if settings.train_points is not None:
        task = task.first(settings.train_points)
    return Problem.of(make_network(settings.network, task), task, device)


def _rounded(domain: Domain, dtype: torch.dtype) -> Domain:
    """The domain in another precision; a box is never wider than it was."""
    return Box(_rounded_down(domain.half_width, dtype)) if isinstance(domain, Box) else domain.to(domain.device, dtype)


def _rounded_down(half_width: Tensor, dtype: torch.dtype) -> Tensor:
    """The box in another precision, never wider than it is."""
    rounded = half_width.to(dtype)
    return torch.where(rounded.double() > half_width, torch.nextafter(rounded, torch.zeros_like(rounded)), rounded)
