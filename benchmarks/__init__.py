"""How fast and how light it is, beside the tools that people would use instead: `python -m benchmarks --help`.

Nothing here decides whether a build is good: figures are for reading. docs/performance.md is made of docs/performance.json, which
holds the rounds of each benchmark as they were measured.
"""
