"""Threads among which the walkers of a step are shared."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(ThreadPoolExecutor):
    """An executor that tells how many threads it has, and needs none for one item."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.threads = threads

    def each(self, function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
        """Results of the function for all items, worked out at the same time."""
        return [function(item) for item in items] if len(items) == 1 else list(self.map(function, items))
