"""The live view as lines, at any size."""

import random

import pytest

from astria_sync.cli.cells import clipped, cut, cut_front, line_length, plain, wrapped
from astria_sync.cli.screen import page, took
from tests.pictures import NOW, busy, item, quiet


def text(seen, width=80, height=None):
    return [plain(line) for line in page(seen, now=NOW, width=width, height=height)]


def crowded():
    """More of everything than any screen has room for, with names that are awkward."""
    seen = busy()
    names = [
        "空の写真" * 12,
        "a" * 90,
        "e\u0301tude",
        "bad\x1b[31m\nname",
        "🌄🌄",
        "x/" * 30 + "end",
        "\udcff",
    ]
    for number in range(60):
        name = f"{names[number % len(names)]}-{number}"
        seen["needs_you"]["items"].append(
            item(f"{name}.prompt", "failed", why=f"reason {number} " + "of much " * 30)
        )
        seen["running"]["items"].append(
            item(f"{name}.prompt", "generating", since_at=NOW - number, usual_seconds=20)
        )
        seen["recent"].append(
            {"path": name, "location": f"/out/{name}.jpg", "size": 1, "saved_at": NOW - number}
        )
        seen["waiting"]["for"].append({"name": name, "prompts": number})
    seen["needs_you"]["count"] += 500
    seen["running"]["count"] += 60
    seen["problems"] += ["No room on the disk. " * 5, "\x1b]0;title\x07"]
    seen["doors"] *= 3
    return seen


@pytest.mark.parametrize("width", [10, 20, 39, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [None, 1, 3, 8, 14, 24, 50])
@pytest.mark.parametrize("make", [busy, quiet, crowded])
def test_nothing_is_wider_or_longer_than_the_screen(make, width, height):
    """Letters that take two columns, control characters, any size: each line fits, and so does their number."""
    lines = page(make(), now=NOW, width=width, height=height)
    assert all(line_length(line) <= width for line in lines), [plain(one) for one in lines]
    assert height is None or len(lines) <= height
    assert all(words.isprintable() or words == "" for line in lines for words, _ in line)


def test_the_whole_at_80_columns():
    """What a person reads, line for line."""
    assert text(busy()) == [
        "astria-sync · runs since 08:58",
        "Astria asks to slow down; work goes on in a while. Tried again at 12:01.",
        "$4.20 of $10.00 today · balance $33.10",
        "next to expire: jane/studio.prompt, 2027-02-14",
        "3 tunes ready · 118 prompts done · 472 pictures on disk",
        "",
        "NEEDS YOU (5)",
        "  jane/neon.prompt",
        "    Astria could not make it: the prompt was flagged by the model's safety",
        "    filter",
        "  dresses/brown-dress/  side.jpg is not whole",
        "  lookbook.prompt [dress: red] and 2 more",
        "    held: more than 100 at one go; `astria-sync approve` lets them go",
        "",
        "RUNNING (4)",
        "  shoes/              uploading    ████░░░░░░  45% of 26.4 MB, 1.2 MB/s",
        "  dresses/red-dress/  training     ████████░░  12 min 03 s, usually 14 min 00 s",
        "  jane/studio.prompt  downloading  ██░░░░░░░░  1 of 4 pictures",
        "  jane/hiking.prompt  generating   ███████░░░  18 s, usually 24 s",
        "",
        "WAITING (14)",
        "  9 for red-dress, 3 for shoes",
        "  2 to be sent next",
        "",
        "LAST PICTURES (2)",
        "  11:59  /home/mia/Astria/generated/jane/beach/beach-30000411-2.jpg",
        "  11:59  /home/mia/Astria/generated/jane/beach/beach-30000411-1.jpg",
    ]


def test_at_40_columns_it_says_the_same():
    """Bars go, names are cut where they differ least, words are not lost."""
    shown = text(busy(), 40)
    start = shown.index("RUNNING (4)")
    assert shown[start + 1 : start + 5] == [
        "  shoes/        uploading  45%, 1.2 MB/s",
        "  …/red-dress/  training  12:03 of 14:00",
        "  …udio.prompt  downloading  1 of 4",
        "  …king.prompt  generating  0:18 of 0:24",
    ]
    assert not any("█" in one for one in shown)
    assert "safety filter" in " ".join(" ".join(shown).split())


def test_a_small_screen_shows_what_needs_a_person_first():
    """On 14 lines every part is named, the first ones have most of the room, and what is left out is counted."""
    shown = text(crowded(), 80, 14)
    titles = [line.split(" (")[0] for line in shown if line.split(" (")[0].isupper()]
    assert titles == ["NEEDS YOU", "RUNNING", "WAITING", "LAST PICTURES"]
    assert any(line.startswith("  … and ") for line in shown)


def test_what_is_left_out_is_counted():
    """Those that are shown and those that are not are all there are."""
    seen = quiet()
    seen["needs_you"] = {
        "count": 40,
        "items": [item(f"{n}.prompt", "failed", why=f"reason {n}") for n in range(40)],
    }
    shown = text(seen, 80, 24)
    told = [line for line in shown if "reason" in line]
    assert f"  … and {40 - len(told)} more" in shown


def test_a_crowd_with_one_reason_is_one_entry():
    """A hundred prompts that are held back are one thing to decide."""
    seen = quiet()
    seen["needs_you"] = {
        "count": 150,
        "items": [item(f"{n}.prompt", "held", why="too many") for n in range(100)],
    }
    assert text(seen)[-2:] == ["  0.prompt and 99 more  held: too many", "  … and 50 more"]


def test_only_the_first_sentence_of_a_reason():
    """What comes after it stands in `status`."""
    seen = quiet()
    seen["problems"] = ["The disk of /out is full. Free some space, or name another output."]
    assert text(seen)[-1] == "  The disk of /out is full."


def test_without_daemon_or_state():
    """What does not run is told with the command that starts it."""
    seen = quiet() | {"daemon": {"running": False, "pid": None, "since": None}, "state": "missing"}
    assert text(seen) == [
        "astria-sync · no daemon runs; start one with: astria-sync run",
        "There is no state yet: nothing was ordered from here.",
    ]
    assert "paused until: astria-sync resume" in text(quiet() | {"paused": True})[0]


def test_nothing_to_do_is_said():
    """An empty screen is not an answer."""
    assert text(quiet())[-1] == "Nothing waits, and nothing has failed."


def test_what_takes_long_is_marked():
    """Much longer than usual stands out; without anything to compare with only the time is told."""
    seen = quiet()
    late = item("a.prompt", "generating", since_at=NOW - 500, usual_seconds=20)
    new = item("b.prompt", "generating", since_at=NOW - 5)
    seen["running"] = {"count": 2, "items": [late, new]}
    first, second = page(seen, now=NOW, width=80)[-2:]
    assert first[-1] == ("8 min 20 s, usually 20 s", "yellow")
    assert second[-1] == ("5 s", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.9, "1 min 00 s"), (3725, "1 h 02 min"), (90_000, "1 d 1 h")],
)
def test_times_as_one_says_them(seconds, words):
    """Seconds, minutes, hours, days."""
    assert took(seconds) == words


def test_cutting_by_columns():
    """A letter of two columns is not halved, whichever end is kept."""
    assert cut("空の写真", 5) == "空の…"
    assert cut("空の写真", 6) == "空の…"
    assert cut_front("空の写真", 6) == "…写真"
    assert cut_front("/out/jane.jpg", 9) == "…jane.jpg"
    assert (cut("abc", 0), cut_front("abc", 0), cut("abc", 1)) == ("", "", "…")
    assert clipped((("abc", "red"), ("def", "")), 4) == (("abc", "red"), ("…", ""))


def test_wrapping_loses_nothing():
    """Whatever words there are, all their letters are there, and no line is too wide."""
    chance = random.Random(1)
    for _ in range(200):
        words = ["".join(chance.choice("ab空🌄é ") for _ in range(chance.randrange(1, 30))) for _ in range(6)]
        whole = " ".join(words)
        width = chance.randrange(2, 30)
        lines = wrapped(whole, width)
        assert "".join("".join(lines).split()) == "".join(whole.split())
        assert all(line_length(((line, ""),)) <= width for line in lines)
