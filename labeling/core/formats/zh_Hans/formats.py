"""Figures are grouped as on every page: 340,000."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
