"""Questions answered by many runs: sweeps, capacity plans, calibration, validation."""
