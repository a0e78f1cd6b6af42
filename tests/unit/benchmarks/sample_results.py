"""Results as three rounds of the benchmark might leave them; no figure was measured."""

from tests.benchmarks.figures import Results, Sample

FACTS = {
    "cpu": "Model 7",
    "cores": 2,
    "server": "Redis 7.0.15",
    "python": "CPython 3.11.7",
    "addition_ns": 20.5,
    "rounds": 3,
    "quick": False,
}
SCALE = {"messages": 100_000, "few_keys": 1_000, "latency_samples": 3_000}
CUT_OFF = "cut off by the server 1 x"


def sample(
    scenario: str, contestant: str, round_: int, failure: str | None = None, note: str | None = None, **figures: float
) -> Sample:
    return Sample(scenario, contestant, round_, figures, failure, note)


def bursts() -> Results:
    """KV-Updater, the loop, one that failed once, one that failed always, and one that cannot run."""
    results = Results()
    for round_, wobble in ((1, 1.0), (2, 1.1), (3, 0.9)):
        figures = {"cpu_us_per_message": 2.1, "server_cpu_us_per_message": 1.5, "peak_mib": 61.0}
        results.add(
            [
                sample("few-keys", "kv-updater", round_, rate=400_000 * wobble, **figures),
                sample("few-keys", "loop", round_, rate=5_000 * wobble, cpu_us_per_message=102, peak_mib=31),
                sample("few-keys", "ioredis", round_, CUT_OFF, rate=60_000)
                if round_ == 2
                else sample("few-keys", "ioredis", round_, rate=60_000),
                sample("few-keys", "faststream", round_, CUT_OFF),
                sample("few-keys", "node-redis", round_, note="not measured: node is not there"),
            ]
        )
    return results


def steady() -> Results:
    """At two rates, of which the loop stands one."""
    return Results(
        [
            sample("steady", "kv-updater, 1,000/s", 1, late_p50_us=230, late_p99_us=810, late_p999_us=2_100),
            sample("steady", "kv-updater, 10,000/s", 1, late_p50_us=280, late_p99_us=1_200, late_max_us=16_300),
            sample("steady", "loop, 1,000/s", 1, late_p50_us=210, late_p99_us=400, late_p999_us=900),
            sample("steady", "loop, 10,000/s", 1, CUT_OFF),
        ]
    )


def keys() -> Results:
    """CPU against the number of keys."""
    return Results(
        [
            sample("scaling-keys", f"{subject}, {count:,} keys", round_, cpu_us_per_message=cpu * growth * round_)
            for subject, cpu in (("kv-updater", 2.0), ("kv-updater, stream", 4.0), ("loop", 100.0))
            for count, growth in ((1_000, 1.0), (1_000_000, 1.2))
            for round_ in (1, 2)
        ]
    )
