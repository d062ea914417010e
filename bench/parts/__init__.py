"""What rows are built from: images, programs, registries, distance, costs, targets, records."""
