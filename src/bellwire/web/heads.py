"""Heads of answers: what stands before the content, which mostly is JSON."""

from http import HTTPStatus

JSON = b"content-type: application/json\r\ncache-control: no-store\r\n"
_LINE = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_BEGIN = {code: line + JSON for code, line in _LINE.items()}


def head_of_answer(
    code: int, length: int | None, dated: bytes, fields: bytes, *, last: bool, kind: bytes = JSON
) -> bytes:
    """Status line and header fields.

    Args:
        code: Of HTTP.
        length: Bytes of the content; None for one that ends with the connection.
        dated: The field that says when it is.
        fields: Further ones, each with its line's end.
        last: Whether the connection ends after it.
        kind: Fields that say what the content is, and how long it may be kept.
    """
    ending = b"connection: close\r\n" if last else b""
    begin = _BEGIN[code] if kind is JSON else _LINE[code] + kind
    size = b"" if length is None else b"content-length: %d\r\n" % length
    return b"%b%b%b%b%b\r\n" % (begin, dated, fields, ending, size)
