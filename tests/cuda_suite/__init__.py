"""What the ``cuda`` target must do, on any device: the emulator (tests/targets/cuda) or a real GPU (tests/gpu).

Each module holds tests that take a fixture ``device``: the device under the name "cuda".
"""
