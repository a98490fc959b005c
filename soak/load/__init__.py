"""Traffic: the arrival schedule and Locust, in child processes only."""
