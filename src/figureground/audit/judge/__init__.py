"""Subgroups, statistics, policy, verdict. Tables in, tables out; never loads torch."""
