"""The ``cuda`` target: a Program printed as CUDA C, compiled by NVRTC and run through CuPy."""
