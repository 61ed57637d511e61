"""The log: gapless, append-only, whole after any death, refused where it is damaged."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path

import pytest

from cnp_engine import process
from cnp_engine.commands import Cancel
from cnp_engine.errors import RunDamaged, RunUnwritable
from cnp_engine.eventlog import CommandLog, EventLog
from cnp_engine.events import SCHEMA, TriggerPreview, Warned

ONE, TWO, THREE = Warned("a", "one"), Warned("b", "two"), Warned("c", "three")


@pytest.fixture(name="log")
def event_log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.jsonl", clock=iter([1.5, 2.5, 3.5]).__next__)


def raw(log: EventLog) -> bytes:
    return log.path.read_bytes()


def test_a_line_is_plain_json_with_seq_and_at(log: EventLog) -> None:
    log.append(ONE)
    log.append(TWO)
    first, second = map(json.loads, raw(log).splitlines())
    assert first == {"seq": 0, "at": 1.5, "tag": "warned", "code": "a", "text": "one"}
    assert (second["seq"], second["at"]) == (1, 2.5)


def test_reading_gives_back_what_was_appended(log: EventLog) -> None:
    assert log.read() == []
    written = [log.append(event) for event in (ONE, TWO)]
    assert log.read() == written
    assert EventLog(log.path).read() == written


@pytest.mark.parametrize("torn", [b"{", b'{"seq":1,"at":0,"tag":"warned"', b"\x00\x00", b"\xff"])
def test_an_unfinished_last_line_is_no_line(log: EventLog, torn: bytes) -> None:
    log.append(ONE)
    with log.path.open("ab") as file:
        file.write(torn)
    assert [record.value for record in log.read()] == [ONE]
    log.append(TWO)
    assert [(record.seq, record.value) for record in log.read()] == [(0, ONE), (1, TWO)]
    assert len(raw(log).splitlines()) == 2


def test_a_log_that_is_nothing_but_a_torn_line_begins_anew(log: EventLog) -> None:
    log.path.write_bytes(b'{"seq":0,' + b"x" * 200_000)
    assert log.read() == []
    log.append(ONE)
    assert [record.seq for record in log.read()] == [0]


def test_seq_goes_on_after_a_very_long_line(log: EventLog) -> None:
    log.append(TriggerPreview(0, 256, 256, "A" * 300_000))
    assert log.append(TWO).seq == 1
    assert len(log.read()) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not json", "Expecting value"),
        (b"[1]", "not an object"),
        (b'{"at":0,"tag":"warned","code":"a","text":"b"}', "no seq"),
        (b'{"seq":1,"at":0,"tag":"sung","code":"a","text":"b"}', "there is no 'sung'"),
        (b'{"seq":1,"at":0,"tag":["x"]}', "there is no"),
        (b'{"seq":1,"at":0,"tag":"warned","code":"a"}', "text"),
        (b'{"seq":1,"at":0,"tag":"warned","code":"a","text":7}', "text is 7"),
        (b'{"seq":5,"at":0,"tag":"warned","code":"a","text":"b"}', "line 5 stands where 1 should"),
        (b'{"seq":0,"at":0,"tag":"warned","code":"a","text":"b"}', "line 0 stands where 1 should"),
        (b"\xff\xfe", "decode"),
        (b"[" * 5000, "damaged"),
    ],
)
def test_a_damaged_line_in_the_middle_is_told(log: EventLog, line: bytes, says: str) -> None:
    log.append(ONE)
    with log.path.open("ab") as file:
        file.write(line + b'\n{"seq":2,"at":0,"tag":"warned","code":"a","text":"b"}\n')
    with pytest.raises(RunDamaged) as caught:
        log.read()
    assert says in caught.value.what
    assert str(log.path) in caught.value.what
    assert caught.value.exit_code == 6


def test_a_log_of_a_newer_version_is_refused_in_its_own_words(log: EventLog) -> None:
    body = {"seq": 0, "at": 0.0, "tag": "run_started", "schema": SCHEMA + 1, "mood": "good"}
    log.path.write_text(json.dumps(body) + "\n")
    with pytest.raises(RunDamaged, match=r"newer cnp wrote this run .*Update cnp"):
        log.read()


def test_a_tail_gives_each_line_once_and_waits_for_the_rest_of_one(log: EventLog) -> None:
    tail = log.tail()
    log.append(ONE)
    assert [record.value for record in tail.poll()] == [ONE]
    assert tail.poll() == []
    log.append(TWO)
    whole = raw(log)
    log.path.write_bytes(whole[:-3])
    assert tail.poll() == []
    log.path.write_bytes(whole)
    assert [record.value for record in tail.poll()] == [TWO]
    assert tail.offset == len(whole)


def test_a_tail_may_begin_later(log: EventLog) -> None:
    log.append(ONE)
    offset = log.size()
    log.append(TWO)
    assert [record.value for record in log.tail(offset).poll()] == [TWO]


def test_a_write_that_does_not_fit_leaves_no_part_of_it(log: EventLog) -> None:
    log.append(ONE)
    before = raw(log)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(RunUnwritable, match="no space left") as caught:
            log.append(TWO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 6
    assert raw(log) == before
    assert log.append(THREE).seq == 1


def test_writers_of_several_processes_never_share_a_number(tmp_path: Path) -> None:
    log = CommandLog(tmp_path / "commands.jsonl")
    code = (
        "import pathlib, sys; from cnp_engine.eventlog import CommandLog; "
        "from cnp_engine.commands import Evaluate; log = CommandLog(pathlib.Path(sys.argv[1])); "
        "[log.append(Evaluate(k), durable=False) for k in range(40)]"
    )
    python, *_ = process.argv("x")
    words = [python, "-c", code, str(log.path)]
    others = [subprocess.Popen(words, env=process.environment()) for _ in range(2)]
    for _ in range(40):
        log.append(Cancel(), durable=False)
    assert [other.wait() for other in others] == [0, 0]
    assert [record.seq for record in log.read()] == list(range(120))
