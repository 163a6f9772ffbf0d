"""Work that a GPU is given as one launch instead of thousands."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch


class Launcher:
    """Calls functions that change tensors in place.

    On a GPU each is captured as a CUDA graph the second time that its key is seen, and replayed from then on: it must
    do the same operations on the same tensors at every call and never wait for the host. On a CPU it is just called.
    """

    def __init__(self) -> None:
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph | None] = {}
        self._functions: dict[Hashable, Callable[[], None]] = {}  # they keep alive what graphs work on
        self._memory: Any = None  # that all graphs use in turn: none leaves anything there

    def __call__(self, key: Hashable, function: Callable[[], None], generators: Sequence[torch.Generator]) -> None:
        """Call the function, or replay what it did; `generators` are all that it draws from."""
        if generators[0].device.type != "cuda":
            function()
        elif key not in self._graphs:  # the first call sets up libraries, which cannot be captured
            self._graphs[key], self._functions[key] = None, function
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())  # what the function reads may still be being written
            with torch.cuda.stream(aside):
                function()
            torch.cuda.synchronize()
            torch.cuda.empty_cache()  # no other stream could use that memory
        else:
            graph = self._graphs[key]
            if graph is None:
                graph = self._graphs[key] = self._capture(function, generators)
            graph.replay()

    def _capture(self, function: Callable[[], None], generators: Sequence[torch.Generator]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        self._memory = self._memory or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._memory):
            function()
        return graph
