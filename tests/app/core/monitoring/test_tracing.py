"""A caller's trace goes on; what is no trace begins a new one."""

import pytest

from app.core.monitoring.tracing import Trace, accept_request_id

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_valid_traceparent_is_continued_by_a_span_of_our_own() -> None:
    trace = Trace.continued(f"00-{TRACE}-{SPAN}-01")

    version, trace_id, span_id, flags = trace.traceparent.split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert span_id != SPAN
    assert len(span_id) == 16


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert Trace.continued(f"cc-{TRACE}-{SPAN}-01-what-comes-later").trace_id == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "x",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_anything_else_begins_a_new_trace(traceparent: str | None) -> None:
    first, second = Trace.continued(traceparent), Trace.continued(traceparent)

    assert first.trace_id not in (TRACE, "0" * 32, second.trace_id)
    assert len(first.trace_id) == 32


@pytest.mark.parametrize("sent", ["a", "A-1_b.c", "x" * 64])
def test_a_harmless_request_id_is_kept(sent: str) -> None:
    assert accept_request_id(sent) == sent


@pytest.mark.parametrize("sent", [None, "", "x" * 65, "a b", "a\nb", "é", "<script>", "a;b", "a\n"])
def test_any_other_is_replaced(sent: str | None) -> None:
    assert accept_request_id(sent) != sent
    assert len(accept_request_id(sent)) == 32
