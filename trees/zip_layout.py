"""The only valid layout of a model file's ZIP: its members one after the other, and nothing else."""

from __future__ import annotations

import struct
import zipfile
from typing import BinaryIO

LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")  # before each member; the last two numbers are lengths
CENTRAL_HEADER_BYTES = 46  # of a member's entry in the directory, without its name and extra field
END_BYTES = 22
END_64_BYTES = 56 + 20  # a directory beyond 4 GiB has a record and a locator before its end
EXTRA_64_BYTES = (0, 12, 20, 28)  # of an extra field: absent, or with one, two or three 64-bit sizes


def layout_fault(stream: BinaryIO, container: zipfile.ZipFile, *, size: int) -> str | None:
    """Return how a file of ``size`` bytes differs from what the program writes, or None.

    Every byte belongs to a member, its header or the directory. So there is nothing before, between or after
    them, no member overlaps another, none is compressed, encrypted or followed by its sizes, and there are no
    comments.
    """
    place = entries = 0
    for info in container.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
            return "has a compressed member, which no model file has"
        if info.file_size > size or info.compress_size != info.file_size:
            return "claims to be larger than it is"
        if info.flag_bits or info.comment or len(info.extra) not in EXTRA_64_BYTES:
            return "has a member with properties that no model file has"
        if info.header_offset != place:
            return "has bytes that belong to no member, or members that overlap"
        stream.seek(place)
        header = LOCAL_HEADER.unpack(stream.read(LOCAL_HEADER.size))
        flags, name_bytes, extra_bytes = header[3], header[-2], header[-1]
        if flags or extra_bytes not in EXTRA_64_BYTES:
            return "has a member with properties that no model file has"
        place += LOCAL_HEADER.size + name_bytes + extra_bytes + info.file_size
        entries += CENTRAL_HEADER_BYTES + len(info.orig_filename.encode()) + len(info.extra)
    tail = size - place - entries
    if container.comment or container.start_dir != place or tail not in (END_BYTES, END_BYTES + END_64_BYTES):
        return "has bytes before, between or after its members"
    return None
