"""What an account must be allowed where records go."""

from collections.abc import Sequence
from secrets import token_hex

from adapters.redis.checkup.message_rights import acknowledging
from adapters.redis.checkup.sites import Work
from adapters.redis.checkup.trials import Names, Need, Trial, escaped, trial
from adapters.redis.commands import Argument

# There is one for Redis 7.0 and later: says whether this account may run a command, and does not run it.
_MAY = "return redis.acl_check_cmd(unpack(ARGV)) and 1 or 0"


def of_commits(names: Names, work: Work, settled: Sequence[str]) -> list[Need]:
    """And of what else the settings ask for. Of the streams in `settled` entries are acknowledged by the commits."""
    keys, rules, commands = [names.key], [names.records], ["evalsha", "eval", "time", "get", "set"]
    more: list[Trial] = []
    if work.transport == "stream":
        keys += [names.entry_ids, *settled]
        rules += [names.all_entry_ids, *map(escaped, settled)]
        commands += ["hget", "hset"]
        ids = names.entry_ids
        # One word too many: nothing is set.
        more += [trial("HGET", ids, names.key, on=ids), trial("HSET", ids, names.key, "", "", on=ids)]
    if settled:
        commands.append("xack")
        more += [acknowledging(names, stream) for stream in settled]
    on, given = " ".join(rules), (str(len(keys)), *keys)
    trials = [
        trial("EVALSHA", token_hex(20), *given, on=on),
        trial("EVAL", "return 1", *given, on=on),
        Trial("TIME", ("TIME",)),
        trial("GET", names.key, on=names.records),
        # XX: only where the key exists, so never.
        trial("SET", names.key, "", "XX", on=names.records),
        *more,
    ]
    words = [*(f"~{rule}" for rule in rules), *(f"+{command}" for command in commands)]
    return [Need(f"({' '.join(words)})", trials, writes=True), *_of_options(names, work)]


def of_reading(names: Names) -> list[Need]:
    """Of one who serves records, and writes none."""
    return [_of_reading(names), Need("+scan", [Trial("SCAN", ("SCAN", 0, "COUNT", 1))])]


def useful_for_ids(names: Names) -> list[tuple[Argument, ...]]:
    """Lets the ids of records that have expired be forgotten."""
    return [("EXISTS", names.key), ("HRANDFIELD", names.entry_ids), ("HDEL", names.entry_ids, names.key)]


def _of_options(names: Names, work: Work) -> list[Need]:
    needs = []
    if work.reads_back:
        needs.append(_of_reading(names))
    if channel := work.persisted_channel:
        telling = Trial(f"PUBLISH {channel}", ("EVAL", _MAY, 0, "PUBLISH", channel, ""), asks=True)
        needs.append(Need(f"(&{escaped(channel)} +publish)", [telling]))
    if stream := work.dead_letter_stream:
        # An id that no entry can have.
        adding = trial("XADD", stream, "NOMKSTREAM", "0-0", "payload", "", on=stream)
        needs.append(Need(f"(%W~{escaped(stream)} +xadd)", [adding]))
    return needs


def _of_reading(names: Names) -> Need:
    return Need(f"(%R~{names.records} +mget)", [trial("MGET", names.key, on=names.records)])
