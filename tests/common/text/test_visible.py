"""Text of others in logs and on terminals: what would act there is written out, and all else stays as it is."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from common.text.visible import counted, escape, inert, lines, tidy, visible
from common.wire import about_pb2, coordinator_pb2, party_pb2, peer_pb2
from common.wire.frames import codec

RED, TURNED = "\x1b[31m", "\u202e"


@given(st.text())
def test_nothing_that_acts_is_left_and_in_json_nothing_changes(text: str) -> None:
    shown = visible(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u200e\u200f\u202a\u202e\u2066\u2069\u2028" for c in shown)
    written = json.dumps([text], ensure_ascii=False)
    assert json.loads(visible(written)) == [text]
    assert visible(shown) == shown and "\n".join(visible(line) for line in text.split("\n")) == lines(text)


def test_words_of_any_language_stay() -> None:
    for text in ("企业还款风险", "naïve – “quoted” 100 %", "emoji 🙂"):
        assert visible(text) == text


def test_markup_is_none_either() -> None:
    assert escape(f"[red]{RED}") == r"\[red]\u001b[31m"


def test_every_text_of_a_message_that_comes_in() -> None:
    job = coordinator_pb2.Job(name=f"a{RED}", state="queued", submitted=1.5)
    job.bank.progress.warnings.extend(["fine", f"b{TURNED}\nc"])
    job.fault.message = "\x07"
    read = codec(coordinator_pb2.Job)[1](job.SerializeToString())
    assert (read.name, read.fault.message, read.state, read.submitted) == (r"a\u001b[31m", r"\u0007", "queued", 1.5)
    assert list(read.bank.progress.warnings) == ["fine", "b\\u202e\nc"]
    assert tidy(read) == read


def test_frames_with_text_in_them() -> None:
    pack, unpack = codec(peer_pb2.Frame)
    for frame in (
        peer_pb2.Frame(hello=peer_pb2.Hello(job="j", software=RED)),
        peer_pb2.Frame(abort=peer_pb2.Abort(fault=peer_pb2.Fault(kind="DataError", message=RED))),
    ):
        assert "\x1b" not in str(unpack(pack(frame)).SerializeToString(), "latin-1")


def test_a_cell_that_a_spreadsheet_would_run_is_text_and_a_number_stays() -> None:
    for cell in ("=1+1", "+86123", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "-1|2"):
        assert inert(cell) == (cell if cell == "+86123" else f"'{cell}")
    for cell in ("-1.5", "+3", "1e-9", "-inf", "A=1", "", "行业", "a-b"):
        assert inert(cell) == cell


def test_no_message_has_a_map_which_would_not_be_tidied() -> None:
    for file in (coordinator_pb2, party_pb2, peer_pb2, about_pb2):
        for message in file.DESCRIPTOR.message_types_by_name.values():
            assert not message.nested_types, message.name  # as a map's entries are


def test_counts_are_of_one_or_of_several() -> None:
    assert [counted(n, "month") for n in (0, 1, 2300)] == ["0 months", "1 month", "2,300 months"]
    assert counted(2, "entry", "entries") == "2 entries" and counted(1, "entry", "entries") == "1 entry"
