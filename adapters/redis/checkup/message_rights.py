"""What an account must be allowed where messages come from."""

from collections.abc import Sequence

from adapters.redis.checkup.trials import Names, Need, Trial, escaped, trial

_READING = "xreadgroup xinfo|groups xinfo|consumers xlen xrange xpending xclaim xgroup|create xgroup|delconsumer"
_NO_ENTRY = "0-0"


def split_patterns(channels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that are none, and those that are."""
    patterns = [channel for channel in channels if set("*?[") & set(channel)]
    return [channel for channel in channels if channel not in patterns], patterns


def of_channels(names: Names, channels: Sequence[str], *, probes: bool) -> list[Need]:
    """By SUBSCRIBE and PSUBSCRIBE."""
    named, patterns = split_patterns(channels)
    # An account has the very text of a pattern.
    by_pattern = [Need(f"(&{each} +psubscribe)", [trial("PSUBSCRIBE", each, on=each)]) for each in patterns]
    return [*_subscription(names, named, "SUBSCRIBE", "PUBLISH", probes=probes), *by_pattern]


def of_shard_channels(names: Names, channels: Sequence[str], *, probes: bool) -> list[Need]:
    """By SSUBSCRIBE."""
    return _subscription(names, channels, "SSUBSCRIBE", "SPUBLISH", probes=probes)


def of_streams(names: Names, streams: Sequence[str], *, settles: bool) -> list[Need]:
    """In a consumer group. `settles`: entries are acknowledged here by a command, and not with the commits."""
    rules = " ".join(f"+{command}" for command in _READING.split())
    keys = " ".join(f"%RW~{escaped(stream)}" for stream in streams)
    needs = [Need(f"({keys} {rules})", [each for stream in streams for each in _reading(names, stream)])]
    if settles:
        keys = keys.replace("%RW~", "~")
        settling = [each for stream in streams for each in (_evaluating(stream), acknowledging(names, stream))]
        needs.append(Need(f"({keys} +eval +xack)", settling))
    return needs


def acknowledging(names: Names, stream: str) -> Trial:
    """In a group that is not there."""
    return trial("XACK", stream, names.group, _NO_ENTRY, on=stream)


def _subscription(names: Names, channels: Sequence[str], subscribe: str, publish: str, *, probes: bool) -> list[Need]:
    rules = [f"&{escaped(channel)}" for channel in channels]
    trials = [trial(subscribe, channel, on=channel) for channel in channels]
    if probes:
        rules.append(f"&{names.probes}")
        trials.append(trial(subscribe, names.probe, on=names.probes))
    needs = [Need(f"({' '.join(rules)} +{subscribe.lower()})", trials)] if trials else []
    if probes:
        probing = trial(publish, names.probe, "", on=names.probes)
        needs.append(Need(f"(&{names.probes} +{publish.lower()})", [probing]))
    return needs


def _reading(names: Names, stream: str) -> list[Trial]:
    group, nobody = names.group, names.nobody
    return [
        trial("XREADGROUP", "GROUP", group, nobody, "COUNT", 1, "STREAMS", stream, ">", on=stream),
        trial("XINFO GROUPS", stream, on=stream),
        trial("XINFO CONSUMERS", stream, group, on=stream),
        trial("XLEN", stream, on=stream),
        trial("XRANGE", stream, _NO_ENTRY, _NO_ENTRY, on=stream),
        trial("XPENDING", stream, group, "-", "+", 1, nobody, on=stream),
        trial("XCLAIM", stream, group, nobody, 0, _NO_ENTRY, on=stream),
        # What is no id is refused before a group is made.
        trial("XGROUP CREATE", stream, group, "none", on=stream),
        trial("XGROUP DELCONSUMER", stream, group, nobody, on=stream),
    ]


def _evaluating(stream: str) -> Trial:
    return trial("EVAL", "return 1", 1, stream, on=stream)
