"""What the tests are built from: registries, token services, certificates, faults, images."""
