"""Print the speed tables: all, or those that are named."""

import sys

from rich.console import Console

from benchmarks import training_speed, wlmc, wlmd_gpu, wlmd_speed
from entroscape.memory import keep_freed

TABLES = {
    "wlmc": wlmc.table,
    "wlmd": wlmd_speed.table,
    "gpu": wlmd_gpu.table,
    "training": training_speed.table,
}

keep_freed()  # as the verbs do; it serves both sides
for name in sys.argv[1:] or TABLES:
    Console(width=120).print(TABLES[name]())
