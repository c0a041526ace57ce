"""Named arrays without an architecture: PyTorch's, Flax' and this project's own."""
