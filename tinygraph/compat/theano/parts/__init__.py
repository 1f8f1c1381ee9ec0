"""What Theano's modules need beside the native ones: each module here stands behind one or more of Theano's names."""
