"""What is measured. A new scenario is a file here and an entry in `ALL`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    bursts,
    channels,
    fan_out,
    flood,
    flood_past,
    idle,
    keys,
    latency,
    observed,
    reconnect_storm,
    share,
    sizes,
    slow_store,
    steady,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .scenario import Scenario

ALL: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        bursts.FEW_KEYS,
        bursts.MANY_KEYS,
        bursts.ALL_DIFFERENT,
        bursts.FEW_KEYS_VALIDATE,
        bursts.ALL_DIFFERENT_VALIDATE,
        bursts.STREAM,
        share.SHARE,
        sizes.SIZES,
        channels.CHANNELS,
        keys.KEYS,
        observed.OBSERVED,
        flood.FLOOD,
        flood_past.FLOOD_PAST,
        reconnect_storm.RECONNECT_STORM,
        slow_store.SLOW_STORE,
        latency.LATENCY,
        steady.STEADY,
        idle.IDLE,
        fan_out.FAN_OUT,
        fan_out.FAN_OUT_IDLE,
    )
}
