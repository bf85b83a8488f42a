"""Processes killed at random and before every statement, facts shuffled and repeated: nothing lost, nothing paid twice.

Run by `.ci/run` in its short form; `python -m tests.faults NAME` runs one for as long as is wished.
"""
