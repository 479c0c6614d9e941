"""Sources into batches."""
