"""When a sampler explores, refines and measures, and what each visit adds to the map meanwhile."""

import math
from dataclasses import dataclass
from typing import Literal

from entroscape.config.sampler import STRENGTH, Stages

Stage = Literal["explore", "refine", "production"]


@dataclass(frozen=True)
class Schedule:
    """Stages in rounds.

    explore: constant modification factor f. refine: f falls as 1/t (Belardinelli and Pereyra 2007), so that the error
    of the map goes on falling instead of saturating. production: the map is frozen; what is counted under it is a
    multicanonical sample free of the deposits' bias.
    """

    explore: int
    refine: int
    production: int
    factor: float
    blocks: int

    @classmethod
    def of(cls, moves: Stages, moves_per_round: int, factor: float, blocks: int) -> "Schedule":
        """Schedule for a number of moves per walker, rounded up to whole rounds."""
        explore, refine, production = (
            math.ceil(stage / moves_per_round) for stage in (moves.explore, moves.refine, moves.production)
        )
        return cls(explore, refine, max(production, blocks), factor, blocks)

    @property
    def rounds(self) -> int:
        """Rounds of all stages."""
        return self.explore + self.refine + self.production

    def stage(self, done: int) -> Stage:
        """Stage of the round that follows `done` rounds."""
        if done < self.explore:
            return "explore"
        return "refine" if done < self.explore + self.refine else "production"

    def block(self, done: int) -> int:
        """Block of equal length, out of `blocks`, that a production round belongs to."""
        return (done - self.explore - self.refine) * self.blocks // self.production

    def modification_factor(self, done: int, moves_per_bin: float) -> float:
        """ln of the modification factor of a round.

        `moves_per_bin` counts the refining moves of all walkers on the map, divided by the bins visited:
        f = factor / (1 + factor * t / STRENGTH) goes over from the constant to STRENGTH / t.
        """
        stage = self.stage(done)
        if stage == "explore":
            return self.factor
        return self.factor / (1.0 + self.factor * moves_per_bin / STRENGTH) if stage == "refine" else 0.0
