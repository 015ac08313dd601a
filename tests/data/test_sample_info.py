"""What a checkpoint keeps of the data, as text that may come from anybody."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hpcgan.data.sample_info import SampleInfo
from hpcgan.data.values import inverse

INFO = SampleInfo("log10:0.5 minmax:-1,4", ("Katze", "größer"), (3, 0, 2**40))


def test_the_text_is_read_as_it_was_written() -> None:
    for info in (INFO, SampleInfo()):
        assert SampleInfo.parse(info.as_text()) == info


@pytest.mark.parametrize(
    "changed",
    [
        {"values": "minmax"},
        {"values": 7},
        {"values": "\ud800"},
        {"names": "ab"},
        {"names": [1]},
        {"names": ["\udcff"]},
        {"counts": [1.5]},
        {"counts": [True]},
        {"counts": [-1]},
        {"counts": [2**63]},
        {"counts": [0, 0]},
        {"counts": {"0": 1}},
        {"more": 1},
    ],
)
def test_other_texts_are_refused(changed: dict[str, Any]) -> None:
    content = json.loads(INFO.as_text()) | changed
    with pytest.raises(ValueError):  # noqa: PT011
        SampleInfo.parse(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 10**5, "1" * 10**5, '{"values": ""}'])
def test_what_is_no_such_text_at_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        SampleInfo.parse(text)


def test_the_mapping_is_undone_in_reverse_order() -> None:
    mapping = SampleInfo("scale:2,1 minmax:1,5").mapping
    # By minmax to 1, 2 and 5; by scale to 0, 0.5 and 2.
    assert inverse(mapping, np.array([-1.0, -0.5, 1.0])).tolist() == [0, 0.5, 2]


def test_classes_without_samples_are_counted_and_the_first_ten_named() -> None:
    assert INFO.empty_classes() == (
        "no sample has 1 of the 3 classes: 1 (größer); they are not learnt, and generate leaves "
        "them out"
    )
    many = SampleInfo(counts=(0,) * 12 + (5,)).empty_classes()
    assert many.startswith("no sample has 12 of the 13 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2")
    assert SampleInfo(counts=(1, 1)).empty_classes() == ""
    assert SampleInfo().empty_classes() == ""


def test_a_name_steers_no_terminal_and_breaks_no_line() -> None:
    assert SampleInfo(names=("a\x1b[2J\nb",)).name_of(0) == "0 (a\\x1b[2J b)"
