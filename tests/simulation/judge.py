"""What must hold after every step, and what when all has come to rest."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from astria_sync.simulator.records import Prompt
from astria_sync.stale import STALE_PROMPT
from tests.simulation.machine import Broken
from tests.simulation.person import FAILS, NEEDS, WORD, Person
from tests.simulation.world import World, small_picture


class Judge:
    """Compares what the stand-in made, what lies on disk and what the journal says with what was wished for."""

    def __init__(self, world: World, person: Person) -> None:
        self.world, self.person = world, person
        self._seen = self._asked = 0
        self._seeds: defaultdict[str, set[str]] = defaultdict(set)
        self.paid: dict[str, Counter[str]] = {"prompt": Counter(), "tune": Counter()}
        world.after_step = self.step
        world.on_published = self.published
        world.after_power_cut = self.after_power_cut

    # At any time

    def step(self) -> None:
        created = self.world.astria.ledger.created()
        for entry in created[self._seen :]:
            what = self._what(entry.kind, entry.facts)
            self.paid[entry.kind][what] += 1
            may = self.person.wishes.words if entry.kind == "prompt" else self.person.wishes.titles
            assert self.paid[entry.kind][what] <= may[what], (
                f"{entry.kind} {entry.id} ({what}) is number {self.paid[entry.kind][what]} of {may[what]} wished for"
            )
        self._seen = len(created)
        self._one_seed_each()

    def _one_seed_each(self) -> None:
        """What may have been made is asked for again with the seed that it had, and every wish has a seed of its own."""
        requests = self.world.astria.ledger.requests()
        for entry in requests[self._asked :]:
            refused = entry.status is not None and 400 <= entry.status < 500 and entry.status != 408
            if entry.method == "POST" and entry.path.endswith("/prompts") and not refused:
                word = self._what("prompt", {"text": entry.field("prompt[text]")})
                self._seeds[word].add(str(entry.field("prompt[seed]")))
                assert len(self._seeds[word]) <= self.person.wishes.words[word], (
                    f"{word} went out with another seed"
                )
        self._asked = len(requests)

    def _what(self, kind: str, facts: Any) -> str:
        if kind == "tune":
            return self.person.title(str(facts["title"]))
        found = WORD.search(str(facts["text"]))
        assert found, f"half a prompt was sent: {facts['text']!r}"
        return found[0]

    def published(self, path: Path) -> None:
        """A file got its final name: it must be whole at once."""
        try:
            self._whole(path)
        except AssertionError as error:
            raise Broken(str(error)) from error

    def _whole(self, path: Path) -> None:
        if not path.is_relative_to(self.world.output):
            return
        data = path.read_bytes()
        if path.suffix == ".json":
            json.loads(data)
        else:
            assert data == self._picture(path), f"{path.name} is not what Astria has"

    def _picture(self, path: Path) -> bytes:
        stem, remote_id, n = path.stem.rsplit("-", 2)
        prompt: Prompt | None = self.world.astria.world.prompts.get(int(remote_id))
        assert prompt is not None, f"{stem}: no prompt {remote_id}"
        return small_picture(prompt.pictures[int(n) - 1])

    def after_power_cut(self) -> None:
        """What is left under final names is whole."""
        for path in self.world.output.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                self.published(path)

    # At rest

    def rest(self) -> None:
        self.step()
        assert self.world.process is not None
        journal = self.world.process.journal
        sources = {
            source.path: source for source in journal.sources("kind = 'prompt' AND missing_since IS NULL")
        }
        present = {path.relative_to(self.world.inbox).as_posix(): path for path in self.person.prompts()}
        # A root that is empty at the start may be a disk that is not mounted: nothing in it is taken for gone.
        doubted = not present and journal.get(f"root:{self.world.inbox}")
        assert doubted or set(sources) == set(present), (
            f"files {set(present) ^ set(sources)} are not known as they are"
        )
        folders = {folder.name for folder in self.person.folders()}
        alive: Counter[str] = Counter()
        for relative, path in present.items():
            self._file(journal, sources[relative].id, path, folders, alive)
        for word, count in alive.items():
            assert self.paid["prompt"][word] >= count, (
                f"{word} was paid {self.paid['prompt'][word]} times, wished {count}"
            )
        self._pictures(journal)
        self._told_besides(journal)

    def _told_besides(self, journal: Any) -> None:
        """Nothing is told as made besides what was wished for, since nothing was."""
        for kind in ("prompts", "tunes"):
            spares = journal.rows(f"SELECT remote_id FROM {kind} WHERE spare_of IS NOT NULL")
            assert not spares, f"{[row[0] for row in spares]} are told as made twice, and were wished for"

    def _file(self, journal: Any, source_id: int, path: Path, folders: set[str], alive: Counter[str]) -> None:
        text = path.read_text()
        told_of = f"id NOT IN (SELECT o.id FROM prompts o JOIN sources s ON s.id = o.source_id WHERE {STALE_PROMPT})"
        rows = journal.prompts(f"source_id = ? AND current = 1 AND {told_of}", [source_id])
        states = {str(row.state) for row in rows}
        told = [(str(row.state), row.reason, row.error) for row in rows]
        error = path.with_name(path.name + ".error.txt").exists()
        found = WORD.search(text)
        if found is None:
            assert states == {"failed"}, f"{path.name}: {told}"
            assert error, f"{path.name} failed and nobody says so"
            return
        needs = set(NEEDS.findall(text))
        if not needs <= folders:
            assert states <= {"waiting", "failed", "done"}, f"{path.name} mentions {needs - folders}: {told}"
            return
        if "seed" in text and self.world.options.idempotency and "failed" in states:
            copied = "was there before" in str(told)  # its copy has the same seed
            assert copied or FAILS in text, f"{path.name}: {told}"
            if copied:
                assert error, f"{path.name} failed and nobody says so"
                return
        if FAILS in text:
            assert states == {"failed"}, f"{path.name}: {told}"
            assert error, f"{path.name} failed and nobody says so"
        else:
            assert states == {"done"}, f"{path.name}: {told}"
            assert not error, f"{path.name} is well, and yet has an error file"
        alive[found[0]] += 1

    def _pictures(self, journal: Any) -> None:
        """Every picture of every prompt that was made lies on disk, once, and nothing else."""
        wanted: dict[Path, str] = {}
        rows = {row.remote_id: row for row in journal.prompts("remote_id IS NOT NULL")}
        for entry in self.world.astria.ledger.created("prompt"):
            row = rows.pop(entry.id, None)
            assert row is not None, (
                f"prompt {entry.id} ({entry.facts['text']}) was made and nothing knows of it"
            )
            prompt = self.world.astria.world.prompts.get(entry.id)
            assert prompt is not None
            assert str(row.seed) == str(prompt.params["seed"]), (
                f"prompt {entry.id} is recorded with another's seed"
            )
            if prompt.error is None:
                place = Path(row.output, row.folder)
                wanted |= {
                    place / f"{row.stem}-{entry.id}-{n + 1}.jpg": url for n, url in enumerate(prompt.pictures)
                }
                wanted[place / f"{row.stem}-{entry.id}.json"] = ""
        assert not rows, f"{list(rows)} are no prompts"
        there = {path for path in self.world.output.rglob("*") if path.is_file()}
        assert there == set(wanted), f"missing {set(wanted) - there}, too much {there - set(wanted)}"
        for path in there:
            self.published(path)
