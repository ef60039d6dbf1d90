"""The commands inspect, predict, explain, panel and models; no logic."""
