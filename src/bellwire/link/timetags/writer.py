"""Tags into a file, as they come: in bellwire's own binary form, as a Swabian dump, or as text."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bellwire.link.errors import ParameterError, TagsUnreadable
from bellwire.link.kernels.tags import Times
from bellwire.link.timetags.reader import (
    BYTE_ORDER,
    CSV_HEADER,
    HEADER,
    MAGIC,
    TAG,
    VERSION,
)
from bellwire.link.timetags.recording import Recording, TagFormat

WRITABLE = (TagFormat.BELLWIRE, TagFormat.SWABIAN, TagFormat.CSV)


class TagWriter:
    """Writes one site's recording; a context manager.

    Args:
        recording: Folder and description; `tags.toml` is written at the end, so that a recording
            that was not finished is none.

    Raises:
        ParameterError: a format that is only read.
        TagsUnreadable: the folder cannot be made or written.
    """

    def __init__(self, recording: Recording) -> None:
        if recording.about.format not in WRITABLE:
            raise ParameterError(
                "format", f"one of {', '.join(WRITABLE)}", str(recording.about.format)
            )
        self._recording = recording
        self.written = 0

    def __enter__(self) -> Self:
        path = self._recording.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            if self._recording.about.format is TagFormat.BELLWIRE:
                self._file.write(_header())
            elif self._recording.about.format is TagFormat.CSV:
                self._file.write(CSV_HEADER + b"\n")
        except OSError as error:
            raise _unwritable(path, error) from error
        return self

    def write(self, times: Times, channels: NDArray[np.int32]) -> None:
        """Append (n,) times, ps, and the (n,) numbers of their channels; times must not fall."""
        try:
            if self._recording.about.format is TagFormat.CSV:
                lines = zip(times.tolist(), channels.tolist(), strict=True)
                self._file.write("".join(f"{t},{c}\n" for t, c in lines).encode())
            else:
                records = np.zeros(times.size, TAG)
                records["time"], records["channel"] = times, channels
                self._file.write(records.tobytes())
        except OSError as error:
            raise _unwritable(self._recording.path, error) from error
        self.written += times.size

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._recording.save()


def _header() -> bytes:
    header = np.zeros(1, HEADER)
    header["magic"], header["version"] = MAGIC, VERSION
    header["record"], header["order"] = TAG.itemsize, BYTE_ORDER
    return header.tobytes()


def _unwritable(path: Path, error: OSError) -> TagsUnreadable:
    return TagsUnreadable(path, None, f"cannot be written: {error.strerror or error}")
