"""The documents on rewrites are those that the registry and the measurements give."""

from pathlib import Path

import pytest

from tinygraph.passes.catalogue import PEERS, markdown, named_in, own_rules
from tinygraph.passes.rewrite import RULES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_document_is_what_the_registry_gives():
    written = (DOCS / "optimizations.md").read_text(encoding="utf-8")
    assert written == markdown(), "run python -m tinygraph.passes.catalogue > docs/optimizations.md"


@pytest.mark.parametrize("theirs", PEERS)
def test_what_a_peer_does_is_done_here_or_said_to_be_done_elsewhere(theirs):
    entry = PEERS[theirs]
    assert named_in(entry) or len(entry.split()) > 4
    for word in entry.replace(",", " ").replace(";", " ").split():
        assert "_" not in word.strip("`") or word in RULES or word in ("merge_constants",), f"no rule {word}"


def test_every_rule_stands_in_one_of_the_peers_rows():
    named = {w for entry in PEERS.values() for w in named_in(entry)}
    assert {r.name for r in own_rules()} <= named
