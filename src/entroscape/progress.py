"""Progress of long jobs in their logs."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

INTERVAL = 10.0  # seconds between two lines

T = TypeVar("T")


def logged(
    items: Iterable[T],
    total: int,
    done: Callable[[T], int],
    logger: logging.Logger,
    unit: str = "steps",
    describe: Callable[[T], str] = lambda item: "",
) -> Iterator[T]:
    """Pass items on; about every ten seconds, and at the end, log what is done and left, the rate and estimated end.

    `done` tells from an item how many of the `total` units are behind it; work done before the first item, by a run
    that this one continues, does not enter the rate. `describe` adds what else is worth knowing.
    """
    start = last = time.monotonic()
    first: int | None = None
    for item in items:
        now, units = time.monotonic(), done(item)
        if first is None:
            first, start = units, now
        if now - last >= INTERVAL or units >= total:
            last = now
            rate = (units - first) / max(now - start, 1e-9)
            left = total - units
            logger.info(
                "%s %s done, %s left, %s %s/s, end in %.0f s%s",
                f"{units:,.0f}",
                unit,
                f"{left:,.0f}",
                f"{rate:,.0f}",
                unit,
                left / max(rate, 1e-9),
                describe(item),
            )
        yield item
