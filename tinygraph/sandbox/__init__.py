"""Module names that code written for Theano knows."""
