"""The whole engine in a world of its own: clock, disk, network, chance and the person are all played, from one seed.

What is real: engine, loop, tasks, downloader, journal and SQLite, the walk, the files of the watched folder, and the stand-in's
model of Astria. What is played: time, the machine's crashes and power cuts, what a disk keeps, every fault of a network.
`python -m tests.simulation SEED` plays one schedule again, exactly.
"""
