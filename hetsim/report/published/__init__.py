"""Reports that are kept under `reports/`, one a file."""
