"""A trained network as files of NumPy, PyTorch, Keras, JAX and ONNX."""
