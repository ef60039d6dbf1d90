"""Figures for people: reports, tables, plots."""
