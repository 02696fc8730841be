"""The benchmarks' own arithmetic and page; that they run at all is shown by `make bench-smoke`."""

import contextlib
import json
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as program
from benchmarks import page, peers, plots, results
from benchmarks.catalog import Benchmark, Run
from benchmarks.results import FAILS, HOLDS, UNKNOWN, Figure, Goal, Result
from benchmarks.rows import BENCHMARKS, pictures, suite

DOCS = Path(__file__).parent.parent / "docs"


def figure(**more):
    return Figure(**{"what": "a walk", "unit": "s", "ours": [2.0, 4.0, 3.0], **more})


def benchmark(name="walk", measure=lambda _: Result(figures=[figure()])):
    return Benchmark(name=name, title="A walk.", how="once.", limits="legs", tried="wheels", measure=measure)


def test_a_ratio_is_of_rounds_that_were_taken_together():
    """Each round is compared with the one beside it, so that a slow minute is slow for both."""
    walked = figure(beside={"find": [1.0, 4.0, 1.0]})
    assert walked.ratios("find") == [2.0, 1.0, 3.0]
    assert results.middle(walked.ratios("find")) == 2.0


def test_a_round_without_its_other_is_not_compared():
    """A peer that was measured less often, or took no time at all, gives fewer ratios."""
    assert figure(beside={"find": [1.0, 0.0]}).ratios("find") == [2.0]


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal(most=3), HOLDS),
        (Goal(most=2.9), FAILS),
        (Goal(most=3, of="find"), HOLDS),
        (Goal(most=2.9, of="find"), FAILS),
        (Goal(most=100, of="aria2c"), UNKNOWN),
        (Goal(most=100, of="curl"), UNKNOWN),
    ],
)
def test_what_a_goal_comes_to(goal, verdict):
    """The median decides; a peer that was skipped, or never asked, is not counted as beaten."""
    assert figure(beside={"find": [1.0, 1.0, 1.0], "aria2c": []}).verdict(goal) == verdict


def test_what_was_not_measured_holds_nothing():
    """Without rounds of our own there is no verdict either."""
    assert figure(ours=[]).verdict(Goal(most=3)) == UNKNOWN
    assert math.isnan(results.middle([]))
    assert math.isnan(results.quantile([], 0.99))


def test_quantiles_are_rounds_that_were_measured():
    """Of a hundred rounds 99 are not above the one that is told."""
    rounds = [float(n) for n in range(100, 0, -1)]
    assert (results.quantile(rounds, 0.99), results.quantile(rounds, 0.5)) == (99.0, 50.0)
    assert results.quantile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.012345, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,230"), (0, "0"), (-464.0, "-464")],
)
def test_three_digits_count(value, told):
    """More would be noise."""
    assert results.short(value) == told


def test_the_spread_is_told_where_there_is_one():
    """The median, and from where to where; one round has none."""
    assert results.spread([1.0, 3.0, 2.0], " s") == "2.00 s (1.00–3.00)"
    assert results.spread([1.0]) == results.spread([1.0, 1.0]) == "1.00"
    assert results.spread([]) == "–"


def test_results_survive_the_file():
    """What was measured is the same after a trip through JSON."""
    before = Result(
        figures=[figure(beside={"find": [1.0]}, goals=[Goal(most=3, of="find")])],
        series={"memory": [(0.0, 50.0), (1.0, 51.0)]},
        axes=("s", "MiB"),
        skipped=["aria2c is not here"],
        peers={"find": "4.9"},
    )
    kept = json.dumps(results.as_json(before))
    after = results.from_json(json.loads(kept))
    assert json.dumps(results.as_json(after)) == kept
    assert after.figures[0].ratios("find") == [2.0]


def test_a_tool_that_is_not_here_is_skipped_by_name(tmp_path):
    """It is told which one, and how to have it; one that is here is known with its version."""
    tool = tmp_path / "curl"
    tool.write_text("#!/bin/sh\necho curl 7.88.1 of some day\n")
    tool.chmod(0o755)
    found = peers.look_for(["curl", "aria2c"], path=str(tmp_path))
    assert found.here == {"curl": str(tool)}
    assert found.versions == {"curl": "7.88.1"}
    assert found.skipped == ["aria2c is not here (apt install aria2)"]
    assert found.has("curl")
    assert not found.has("aria2c")


def test_without_nginx_no_picture_counts_as_fetched(tmp_path):
    """A benchmark whose host is missing has figures without rounds, and says why."""
    nothing = pictures._nothing(peers.look_for(["nginx"], path=str(tmp_path)))
    assert [one.verdict(goal) for one in nothing.figures for goal in one.goals] == [UNKNOWN]
    assert nothing.skipped == ["nginx is not here (apt install nginx-light)"]


def test_the_page_tells_who_was_skipped():
    """A skipped peer stands in its row as skipped, without a ratio, and once more with how to have it."""
    result = Result(
        figures=[figure(beside={"aria2c": []}, goals=[Goal(most=1, of="aria2c")])],
        skipped=["aria2c is not here (apt install aria2)"],
    )
    told = page.rendered([benchmark()], {"walk": result})
    assert "| a walk | 3.00 s (2.00–4.00) | aria2c | skipped | – |" in told
    assert f"| [a walk](#walk) | at most 1 × aria2c | – | {UNKNOWN} |" in told
    assert "- Skipped: aria2c is not here (apt install aria2)" in told


def test_the_page_tells_what_is_missing():
    """A benchmark that has not run yet is named; those that have run come with their command and their words."""
    told = page.rendered([benchmark(), benchmark("swim")], {"walk": Result(figures=[figure()])})
    assert "Not measured yet: swim." in told
    assert "`python -m benchmarks walk`" in told
    assert "legs" in told
    assert "wheels" in told


def test_bars_show_ours_and_theirs():
    """A plot is SVG that a browser reads, with a bar for each, as long as its median; names are escaped."""
    text = plots.plot(Result(figures=[figure(beside={"a <tool>": [6.0, 6.0, 6.0], "gone": []})]))
    bars = [one for one in ET.fromstring(text).iter() if one.tag.endswith("rect")][1:]
    assert len(bars) == 2
    assert float(bars[1].attrib["width"]) == 2 * float(bars[0].attrib["width"])


def test_lines_end_where_the_plot_ends():
    """A series is drawn from its first moment to its last, below a scale that is a round number."""
    text = plots.lines({"memory": [(0.0, 40.0), (10.0, 47.0)]}, ("s", "MiB"))
    (line,) = [one for one in ET.fromstring(text).iter() if one.tag.endswith("polyline")]
    first, last = line.attrib["points"].split()
    assert first.startswith("56.0,")
    assert last.startswith("704.0,")
    assert ">50.0<" in text


def test_nothing_to_compare_is_no_plot():
    """Figures that stand alone are a table."""
    assert plots.plot(Result(figures=[figure()])) == ""
    assert page.pictures({"walk": Result(figures=[figure()])}) == {}


@pytest.mark.parametrize(
    ("value", "above"), [(0.0, 1.0), (4.1, 5.0), (50.0, 50.0), (68.4, 80.0), (99.0, 100.0)]
)
def test_scales_are_round(value, above):
    """The top of a scale is a number that one reads at a glance, and not below what is shown."""
    assert plots._round_up(value) == above


def test_memory_that_grows_is_told():
    """Growth is what the last fifth of the time has over the second; a start is none."""
    flat = [(0.0, 30.0), *((float(n), 50.0) for n in range(1, 10))]
    rising = [(float(n), float(n)) for n in range(10)]
    assert pictures._growth(flat) == 0
    assert pictures._growth(rising) == 6.0


def test_one_that_cannot_be_measured_stops_no_other(tmp_path, monkeypatch, capsys):
    """What goes wrong in a benchmark is told and counted; the others are measured and written."""

    def breaks(_):
        raise RuntimeError("no line")

    monkeypatch.setattr(program, "BENCHMARKS", (benchmark("broken", breaks), benchmark("walk")))
    assert program.main(["--into", str(tmp_path)]) == 1
    assert "no line" in capsys.readouterr().err
    assert set(program.load(tmp_path / "performance.json")) == {"walk"}
    assert (tmp_path / "performance.md").exists()


def test_one_alone_leaves_the_others_as_they_were(tmp_path, monkeypatch):
    """A benchmark that is run again changes its own figures only, and the page is made anew of all."""
    monkeypatch.setattr(program, "BENCHMARKS", (benchmark("walk"), benchmark("swim")))
    program.main(["--into", str(tmp_path)])
    before = program.load(tmp_path / "performance.json")
    again = benchmark("swim", lambda _: Result(figures=[figure(ours=[9.0])]))
    monkeypatch.setattr(program, "BENCHMARKS", (benchmark("walk"), again))
    program.main(["swim", "--into", str(tmp_path)])
    after = program.load(tmp_path / "performance.json")
    assert after["walk"] == before["walk"]
    assert after["swim"].figures[0].ours == [9.0]


def test_a_look_writes_nothing(monkeypatch):
    """`--smoke` without `--into` leaves the documents alone, since its figures mean nothing."""
    monkeypatch.setattr(program, "BENCHMARKS", (benchmark("walk"),))
    monkeypatch.setattr(program, "write", lambda *_: pytest.fail("it wrote"))
    assert program.main(["--smoke"]) == 0


def test_a_name_that_is_none_is_refused(capsys):
    """Wrong usage is told with the names that there are."""
    with pytest.raises(SystemExit) as ended:
        program.main(["jump"])
    assert ended.value.code == 2
    assert "there is no jump; there are idle," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rounds", "0"], "'0' is not 1 or more"),
        (["--rounds", "two"], "'two' is not 1 or more"),
        (["--into", "{here}/file"], "cannot be used"),
        (["--into", "{here}/broken"], "cannot be used"),
        (["--into", "{here}/strange"], "cannot be used"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_measured(arguments, told, tmp_path, capsys):
    """A number of rounds that is none, a folder that cannot be written, figures that nobody can read."""
    (tmp_path / "file").write_text("no folder")
    for name, text in (("broken", "{"), ("strange", '{"idle": 3}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "performance.json").write_text(text)
    with pytest.raises(SystemExit) as ended:
        program.main(["commands", "--smoke", *(one.format(here=tmp_path) for one in arguments)])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_the_time_of_the_tests_may_be_told():
    """Who has timed `make test` anyway says so; then it is not run again."""
    with contextlib.ExitStack() as stack:
        run = Run(smoke=False, rounds=None, stack=stack, environ={"TEST_SECONDS": "200.5"})
        assert suite.BENCHMARK.measure(run).figures[0].ours == [200.5]
    assert suite.BENCHMARK.asked_only


def test_each_has_a_name_and_words():
    """Names are told apart, and each benchmark says what limits it and what did not help."""
    assert len({one.name for one in BENCHMARKS}) == len(BENCHMARKS)
    for one in BENCHMARKS:
        assert one.title[-1] in ".?"
        assert one.limits, one.name
        assert one.tried, one.name


def test_the_page_is_what_was_measured():
    """docs/performance.md and its plots are what `python -m benchmarks --page` makes of docs/performance.json."""
    kept = program.load(DOCS / "performance.json")
    assert (DOCS / "performance.md").read_text() == page.rendered(BENCHMARKS, kept)
    drawn = page.pictures(kept)
    there = {file.stem: file.read_text() for file in (DOCS / "performance").glob("*.svg")}
    assert there == drawn
