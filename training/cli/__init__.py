"""The commands train, evaluate, calibrate, study, town and correct; no logic."""
