"""Texts as numbers: any script, exact round trips, and errors that name the file."""

import numpy as np
import pytest

from tinygraph.datasets import Corpus, load_text, standard_library
from tinygraph.errors import DataError


@pytest.mark.parametrize("text", ["abcab", "日本語、日本", "naïve\n🙂 ok 🙂", "אבא"])
def test_round_trip(tmp_path, text):
    (tmp_path / "t").write_text(text, encoding="utf-8")
    corpus = load_text(tmp_path / "t")
    assert corpus.text == text and corpus.vocabulary == "".join(sorted(set(text)))
    assert corpus.codes.dtype == np.int32 and corpus.codes.max() == len(corpus.vocabulary) - 1
    assert corpus.decode(corpus.codes) == text
    assert [corpus.vocabulary[code] for code in corpus.codes] == list(text)


def test_byte_order_mark_and_line_ends_are_not_text(tmp_path):
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert load_text(tmp_path / "t").text == "a\nb"


def test_split_holds_the_end_out():
    train, held = Corpus.of("abcdefghij" * 2).split(0.1)
    assert len(train) == 18 and len(held) == 2
    assert len(Corpus.of("abc").split(0.0)[1]) == 0


@pytest.mark.parametrize("stranger", ["z", "A", "🙂", "\0"])
def test_unknown_characters_are_named(stranger):
    with pytest.raises(DataError) as raised:
        Corpus.of("bcdbcd", "poem.txt").encode("b" + stranger)
    assert str(raised.value) == f"{stranger!r} does not occur in poem.txt, so a model of it cannot read it"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a text of at least 2 characters, found 0"),
        (b"a", "expected a text of at least 2 characters, found 1"),
        (b"abc\xff", "expected UTF-8 text: invalid start byte at byte 3"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "poem.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"poem.txt: {message}"):
        load_text(tmp_path / "poem.txt")


def test_too_short_for_the_caller(tmp_path):
    (tmp_path / "t").write_text("abc")
    with pytest.raises(DataError, match="expected a text of at least 1,000 characters, found 3"):
        load_text(tmp_path / "t", shortest=1000)


def test_unreadable(tmp_path):
    with pytest.raises(DataError, match="absent: expected a readable text file: No such file"):
        load_text(tmp_path / "absent")


def test_standard_library():
    corpus = standard_library(50_000)
    assert len(corpus.text) == 50_000 and "import" in corpus.text
    assert len(corpus.vocabulary) <= 128
    assert standard_library(10_000).text == corpus.text[:10_000]
