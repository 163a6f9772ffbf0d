"""What a verb runs: its own module, and those that it imports by kind, as its settings name them."""

from functools import cache

from entroscape.config.section import Section
from entroscape.config.settings import PrepareSettings, SampleSettings, SearchSettings, TrainSettings
from entroscape.digest import code_digest

_digest = cache(code_digest)  # many jobs and files share their modules


def code_of(verb: str, settings: Section | None = None) -> str:
    """Digest of the code of a verb, as its results carry it and as its rule tracks it."""
    return _digest(f"entroscape.verbs.{verb}", *modules_by_kind(settings))


def modules_by_kind(settings: Section | None) -> list[str]:
    """Modules that are imported on use, so that work on one kind does not touch what another has made."""
    match settings:
        case PrepareSettings():
            return [f"entroscape.data.{settings.data.kind}"]
        case SearchSettings() | TrainSettings():
            return [f"entroscape.models.{settings.network.kind}"]
        case SampleSettings():
            from entroscape.sampling.modules import sampler_modules  # a change of it is none of data or training

            return sampler_modules(settings.procedure.procedure, settings.network.kind)
    return []
