"""The commands serve, worker, keys, models and demo; no logic."""
