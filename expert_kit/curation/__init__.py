"""Looks rows over before they are trained on: what is wrong with them, what repeats, what leaks into a test."""

from expert_kit.curation.findings import Finding, check_rows, leaks
from expert_kit.curation.json_lines import JsonLine, checked_rows, json_lines, read_json_lines, read_rows
from expert_kit.curation.near import THRESHOLD, near_pairs
from expert_kit.curation.rows import DataRow, folded, read_data, read_good_data
from expert_kit.curation.splitting import split_data
from expert_kit.curation.stats import DataStats, data_stats, draw_lengths, spread
from expert_kit.curation.syntax import SYNTAXES

__all__ = [
    "SYNTAXES",
    "THRESHOLD",
    "DataRow",
    "DataStats",
    "Finding",
    "JsonLine",
    "check_rows",
    "checked_rows",
    "data_stats",
    "draw_lengths",
    "folded",
    "json_lines",
    "leaks",
    "near_pairs",
    "read_data",
    "read_good_data",
    "read_json_lines",
    "read_rows",
    "split_data",
    "spread",
]
