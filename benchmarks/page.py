"""docs/performance.md from what was measured. Pure: a test compares the page with what this makes of the JSON beside it."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.catalog import Benchmark
from benchmarks.plots import plot
from benchmarks.results import Figure, Goal, Result, spread

_HEAD = """\
# How fast, how light

Made by `make bench` of what it measured, which lies in [performance.json](performance.json); written by hand are only the words on what
limits a figure. Machines differ by more than half from minute to minute. So everything that is compared was measured in turn, in one run,
and **only the ratios count**: each is the median over the rounds of ours by theirs, with the least and the most in parentheses. Less is
always better. A tool that was not there is named as skipped, and its goal as not measured. The goals are for 2 cores.
"""


def rendered(benchmarks: Sequence[Benchmark], results: Mapping[str, Result]) -> str:
    """The whole page."""
    known = [one for one in benchmarks if one.name in results]
    parts = [_HEAD, *_summary(known, results)]
    for one in known:
        parts += _section(one, results[one.name])
    if missing := [one.name for one in benchmarks if one.name not in results]:
        parts.append(f"Not measured yet: {', '.join(missing)}.\n")
    return "\n".join(parts)


def pictures(results: Mapping[str, Result]) -> dict[str, str]:
    """Name of a benchmark → its plot, of those that have one."""
    return {name: text for name, result in results.items() if (text := plot(result))}


def _summary(known: Sequence[Benchmark], results: Mapping[str, Result]) -> Iterator[str]:
    yield "| what | goal | measured | |\n| --- | --- | --- | --- |"
    for one in known:
        for figure in results[one.name].figures:
            for goal in figure.goals:
                told = _measured(figure, goal)
                yield f"| [{figure.what}](#{one.name}) | {wanted(figure, goal)} | {told} | {figure.verdict(goal)} |"
    yield ""


def wanted(figure: Figure, goal: Goal) -> str:
    """A goal in words."""
    if goal.words:
        return goal.words
    return f"at most {goal.most:g} × {goal.of}" if goal.of else f"at most {goal.most:g}{_unit(figure.unit)}"


def _measured(figure: Figure, goal: Goal) -> str:
    if goal.of:
        return spread(figure.ratios(goal.of), " ×")
    return spread(figure.ours, _unit(figure.unit))


def _unit(unit: str) -> str:
    return unit if unit in {"", "%"} else f" {unit}"


def _section(one: Benchmark, result: Result) -> Iterator[str]:
    yield f"## {one.name}\n"
    yield f"{one.title} Made by `python -m benchmarks {one.name}`: {one.how}\n"
    yield f"Taken {result.taken} with {result.size}; {result.machine}.\n"
    yield from _table(result.figures)
    if plot(result):
        yield f"![{one.name}](performance/{one.name}.svg)\n"
    if result.peers:
        told = ", ".join(f"{name} {version}" for name, version in sorted(result.peers.items()))
        yield f"Beside: {told}.\n"
    for line in (*result.said, *(f"Skipped: {line}" for line in result.skipped)):
        yield f"- {line}"
    if result.said or result.skipped:
        yield ""
    yield f"**What limits it.** {one.limits}\n"
    yield f"**What did not help.** {one.tried}\n"


def _table(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| | astria-sync | beside | theirs | ratio |\n| --- | --- | --- | --- | --- |"
    for figure in figures:
        ours = spread(figure.ours, _unit(figure.unit))
        if not figure.beside:
            yield f"| {figure.what} | {ours} | | | |"
        for peer, rounds in figure.beside.items():
            theirs = spread(rounds, _unit(figure.unit)) if rounds else "skipped"
            yield f"| {figure.what} | {ours} | {peer} | {theirs} | {spread(figure.ratios(peer), ' ×')} |"
    yield ""
