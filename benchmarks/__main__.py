"""Print the speed tables."""

from rich.console import Console

from benchmarks import wlmc

Console(width=120).print(wlmc.table())
