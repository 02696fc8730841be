"""The benchmarks, one module for each row of the table or for a few that need the same things."""

from typing import Final

from benchmarks.catalog import Benchmark
from benchmarks.rows import (
    arrival,
    commands,
    idle,
    latency,
    month,
    pictures,
    planning,
    requests,
    rescan,
    start,
    suite,
    upload,
)

BENCHMARKS: Final[tuple[Benchmark, ...]] = (
    idle.BENCHMARK,
    start.BENCHMARK,
    rescan.BENCHMARK,
    latency.BENCHMARK,
    planning.BENCHMARK,
    requests.BENCHMARK,
    arrival.BENCHMARK,
    pictures.BENCHMARK,
    upload.BENCHMARK,
    month.BENCHMARK,
    commands.BENCHMARK,
    suite.BENCHMARK,
)
