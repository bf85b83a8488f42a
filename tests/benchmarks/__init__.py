"""How fast it is, each figure with the ratio to a reference measured in the same run.

`python -m tests.benchmarks [NAME …] [--quick] [--json]`, or `./dev bench`. A benchmark is a function in a
module of its own, registered by `@benchmark`; it makes its data inside a throw-away advertiser.
"""
