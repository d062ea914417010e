"""What the benches are built from: costs of processes, a large real image, distance."""
