"""The ways that are compared: those of a file, and the baselines that they call for.

A split is set against the same staleness on one group of ranks, several discriminators against one,
a tournament against the best of as many runs that never meet, and all of them against one
synchronous run on all ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from hpcgan import yaml_file
from hpcgan.config import Config
from hpcgan.config_checks import check_name
from hpcgan.config_file import load, options, sections
from hpcgan.config_population import PopulationConfig, TournamentConfig
from hpcgan.errors import ConfigError

SYNCHRONOUS = "synchronous"

# What a way may change: the data, the seeds and what is measured are those of all.
_CHANGEABLE = ("model.", "loss.", "optimizer.", "train.", "parallel.", "population.", "tournament.")
_DECIDED = ("train.steps", "tournament.data")  # by the comparison itself
# Of the command line, what a comparison uses nothing of.
_UNUSED = ("checkpoint.", "log.", "run.time_limit", "run.restarts", "watch.collapse")


@dataclass
class Way:
    """A way of using the ranks.

    Attributes:
        name: of the way, and of its files.
        config: what it trains, as it was given.
        is_added: whether it is not in the file, but a baseline of one that is.
        baselines: names of the ways that it is set against, besides the synchronous one.
    """

    name: str
    config: Config
    is_added: bool = False
    baselines: list[str] = field(default_factory=list)


def read(path: Path, config: str, words: list[str]) -> list[Way]:
    """Return the ways of a file and their baselines; the first one is synchronous.

    Args:
        path: of the ways: a mapping of each one's name to what it changes.
        config: path or preset of what all ways train.
        words: of the command line, ``--section.key VALUE``, for all ways.

    Raises:
        ConfigError: a file cannot be read, a way changes what it may not, or its configuration is
            wrong.
    """
    _check_words(words)
    base = load(config, words)
    node = yaml_file.compose_file(path, "file of ways")
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise ConfigError(
            f"{path}: ways are a mapping of names to the keys that they change, such as "
            "'linear: {optimizer: {scaling: linear}}'"
        )
    ways = [_way(path, key.value, value, config, words) for key, value in node.value]
    return with_baselines(base, ways)


def with_baselines(base: Config, ways: list[Way]) -> list[Way]:
    """Return ways with the baselines that are not among them; the synchronous one comes first."""
    found = list(ways)
    reference = _named(found, SYNCHRONOUS, synchronous(base))
    for way in found:  # which grows: a baseline may have baselines
        for suffix, config in _baselines(way.config):
            way.baselines.append(_named(found, f"{way.name} {suffix}", config).name)
    return [reference, *(way for way in found if way is not reference)]


def synchronous(config: Config) -> Config:
    """Return the configuration of one run that is trained synchronously by all ranks."""
    members, shards = config.parallel.population, config.data.shards
    return replace(
        config,
        # Its shards are those of all members, for the work of a step.
        data=replace(config.data, shards=shards and shards * members),
        train=replace(config.train, staleness=None, discriminators=1, swap_every=None),
        parallel=replace(config.parallel, mode="synchronous", generator_ranks=None, population=1),
        population=PopulationConfig(),
        tournament=TournamentConfig(),
    )


def _baselines(config: Config) -> Iterator[tuple[str, Config]]:
    """Yield what a way is to be set against, each with what its name has more."""
    train, parallel = config.train, config.parallel
    if parallel.mode == "split":
        one_group = replace(parallel, mode="synchronous", generator_ranks=None)
        same = replace(train, staleness=config.staleness)
        yield "on one group", replace(config, parallel=one_group, train=same)
    if train.discriminators > 1:
        one = replace(train, discriminators=1, swap_every=None, swap="ring")
        yield "with one D", replace(config, train=one)
    if parallel.population > 1:
        if config.tournament.every is not None:
            yield "without tournament", replace(config, tournament=TournamentConfig())
        yield "as one run", synchronous(config)


def _named(ways: list[Way], name: str, config: Config) -> Way:
    """Return the way that trains ``config``, which is added under ``name`` if there is none."""
    for way in ways:
        if _same(way.config) == _same(config):
            return way
    names = {way.name for way in ways}
    way = Way(name if name not in names else f"{name} (baseline)", config, is_added=True)
    ways.append(way)
    return way


def _same(config: Config) -> Config:
    """Return a configuration in a form that is equal for all that train the same."""
    return replace(config, train=replace(config.train, staleness=config.staleness))


def _way(path: Path, name: str, node: yaml.Node, config: str, words: list[str]) -> Way:
    """Return a way of the file."""
    origin = f"{path}: way '{name}'"
    check_name(name, origin)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{origin}: is {yaml_file.show(node)}; write {{}} for no change")
    changes = sections(node, origin)
    for key in changes:
        is_free = key == "data.shards" or key.startswith(_CHANGEABLE)
        if not is_free or key in _DECIDED:
            raise ConfigError(
                f"{origin}: {key} is the same for all ways; a way may change data.shards, and keys "
                f"of {', '.join(each.rstrip('.') for each in _CHANGEABLE)}, but not "
                f"{' and '.join(_DECIDED)}"
            )
    return Way(name, load(config, words, changes))


def _check_words(words: list[str]) -> None:
    """Refuse options that have no effect."""
    for key in options(words):
        is_evaluation = key.startswith("evaluate.") and key != "evaluate.held_out"
        if key in _DECIDED or key.startswith(_UNUSED) or is_evaluation:
            raise ConfigError(
                f"command line: --{key} has no effect here: --rank-seconds says how long a way is "
                "trained, and it is evaluated outside of that time; leave it out"
            )
