"""What the doctor prints."""

from __future__ import annotations

import json

from hpcgan.doctor.findings import as_json, as_text, failed, listed, ok, warning, worst

_THREE = {
    "clocks": ok("agree within 1.0 ms", skew_seconds=0.001),
    "links": warning("1 of 1 below 1 Gbit/s", "choose the fast network"),
    "data": failed("a.h5: cannot be seen on node2", "copy it"),
}


def test_lines_have_status_check_and_text_then_what_to_do_and_a_count():
    assert as_text(_THREE).splitlines() == [
        "ok       clocks           agree within 1.0 ms",
        "warning  links            1 of 1 below 1 Gbit/s",
        "                          -> choose the fast network",
        "failed   data             a.h5: cannot be seen on node2",
        "                          -> copy it",
        "hpcgan doctor: 1 failed, 1 warning, 1 ok",
    ]


def test_json_has_the_worst_status_and_all_findings_with_figures():
    found = json.loads(as_json(_THREE))
    assert found["status"] == "failed"
    assert found["findings"][0] == {
        "check": "clocks",
        "status": "ok",
        "text": "agree within 1.0 ms",
        "advice": "",
        "figures": {"skew_seconds": 0.001},
    }
    assert [each["status"] for each in found["findings"]] == ["ok", "warning", "failed"]


def test_the_worst_status_counts():
    first = [dict(list(_THREE.items())[:n]) for n in range(4)]
    assert [worst(each) for each in first] == ["ok", "ok", "warning", "failed"]


def test_long_lists_are_cut_and_counted():
    assert listed([1, 2]) == "1, 2"
    assert listed(range(6)) == "0, 1, 2, 3 and 2 more"
