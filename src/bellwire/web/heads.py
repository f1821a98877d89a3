"""Heads of answers: what stands before the JSON."""

from http import HTTPStatus

_COMMON = b"content-type: application/json\r\ncache-control: no-store\r\n"
_BEGIN = {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() + _COMMON for each in HTTPStatus
}


def head_of_answer(code: int, length: int, dated: bytes, fields: bytes, *, last: bool) -> bytes:
    """Status line and header fields.

    Args:
        code: Of HTTP.
        length: Bytes of the content.
        dated: The field that says when it is.
        fields: Further ones, each with its line's end.
        last: Whether the connection ends after it.
    """
    ending = b"connection: close\r\n" if last else b""
    return b"%b%b%b%bcontent-length: %d\r\n\r\n" % (_BEGIN[code], dated, fields, ending, length)
