"""Records: what is written is read back, and every bad line is named."""

import json

import pytest

from lm_bandit.feedback import records
from lm_bandit.feedback.records import (
    BadLine,
    ComparisonRecord,
    format_record,
    parse_record,
)

RECORDS = (
    ComparisonRecord("a prompt", "one", "other"),
    ComparisonRecord("ü\n", "one", "other", tied=True, annotator=3),
    records.RankingRecord("p", ("best", "middle", "worst"), 0),
    records.ScoreRecord("p", "c", 10),
    records.LabelRecord("p", "c", False, 7),
    records.CorrectionRecord("p", "same", "same"),
    records.CritiqueRecord("p", "c", "'awful' should go", 1),
    records.DemonstrationRecord("", "c"),
)
BAD_LINES = [  # the line, the reason, and a part of the message
    (b'{"prompt": "p", "chosen": "c', "not JSON", "expected a JSON object"),
    (b"[1]", "not JSON", "expected a JSON object, got [1]"),
    (b'{"score": NaN}', "not JSON", "NaN"),
    (b"[" * 100_000, "not JSON", "JSON"),
    (b'{"prompt": "caf\xe9"}', "not UTF-8", "byte 0xe9 at column 16"),
    (b'{"prompt": "p", "completion": "\\ud800"}', "not UTF-8", "field completion"),
    (b"{}", "missing field", "got none"),
    (b'{"prompt": "p", "chosen": "c"}', "missing field", "field rejected"),
    (b'{"promt": "p", "chosen": "c", "rejected": "r"}', "missing field", "prompt"),
    (b'{"completion": "c", "score": 3}', "missing field", "field prompt"),
    (b'{"prompt": 1, "completion": "c"}', "wrong type", "a string, got 1"),
    (b'{"prompt": "p", "completion": ["c"]}', "wrong type", "field completion"),
    (b'{"prompt": "p", "completion": " \\n"}', "empty completion", "completion"),
    (b'{"prompt": "p", "chosen": "", "rejected": "r"}', "empty completion", "got"),
    (b'{"prompt": "p", "chosen": "c", "rejected": "c"}', "equal completions", "c"),
    (b'{"prompt": "p", "completions": ["c"]}', "wrong type", "at least two"),
    (b'{"prompt": "p", "completions": ["c", ""]}', "empty completion", "ns[1]"),
    (b'{"prompt": "p", "completions": ["c", "c"]}', "equal completions", "diff"),
    (b'{"prompt": "p", "completion": "c", "score": 11}', "out of range", "1 to 10"),
    (b'{"prompt": "p", "completion": "c", "score": 2.5}', "wrong type", "2.5"),
    (b'{"prompt": "p", "completion": "c", "score": true}', "wrong type", "true"),
    (b'{"prompt": "p", "completion": "c", "label": 2}', "out of range", "got 2"),
    (b'{"prompt": "p", "completion": "c", "label": "ok"}', "wrong type", "true or"),
    (
        b'{"prompt": "p", "completion": "c", "label": true, "annotator": "me"}',
        "wrong type",
        "field annotator",
    ),
    (b" " * 1_000_001, "too long", "expected at most 1,000,000 bytes"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_what_is_written_is_read_back(record):
    line = format_record(record)
    assert line.index(b"\n") == len(line) - 1
    assert parse_record(line) == record


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        ("\n\nHuman: hi\n\nAssistant:", " Hello.", " Help!"),
        ("The film was ", "good", "grim"),
    ],
)
def test_without_a_prompt_it_is_the_shared_beginning(prompt, chosen, rejected):
    fields = {"chosen": prompt + chosen, "rejected": prompt + rejected}
    record = parse_record(json.dumps(fields).encode())
    assert record == ComparisonRecord(prompt, chosen, rejected)


@pytest.mark.parametrize(
    ("line", "reason", "message"), BAD_LINES, ids=lambda value: repr(value[:60])
)
def test_a_bad_line_is_named(line, reason, message):
    with pytest.raises(BadLine) as caught:
        parse_record(line)
    assert caught.value.reason == reason
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
