"""Programs to run, and to read from top to bottom: each module here is a demo, ``tinygraph demo NAME``.

A demo has ``add_arguments(parser)`` and ``run(args)``, and the first line of its text is its line in the help; that
is all it takes to be listed. What demos share (arguments, the training loop, pictures) is in ``harness/``.
"""
