"""Theano's names are installed for these tests, and taken back after each."""

import pytest

import tinygraph.compat.theano as compat


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.delenv("THEANO_FLAGS", raising=False)
    monkeypatch.setenv("THEANORC", "")
    yield compat.install(force=True)
    compat.uninstall()
