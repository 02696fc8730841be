"""The benchmarks, one module for each row of the table or for a few that need the same things."""

from typing import Final

from benchmarks.catalog import Benchmark
from benchmarks.rows import arrival, commands, idle, latency, month, planning, requests, rescan, start, suite

BENCHMARKS: Final[tuple[Benchmark, ...]] = (
    idle.BENCHMARK,
    start.BENCHMARK,
    rescan.BENCHMARK,
    latency.BENCHMARK,
    planning.BENCHMARK,
    requests.BENCHMARK,
    arrival.BENCHMARK,
    month.BENCHMARK,
    commands.BENCHMARK,
    suite.BENCHMARK,
)
