"""One entry out of a zip archive that is held in memory, without the archive module of the standard library: that one also loads bzip2,
LZMA and the file-copying tools, which would take longer than opening a small model.

Layout: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import struct
import zlib

_STORED, _DEFLATED = 0, 8


def read_entry(content: bytes, name: str) -> bytes:
    """The bytes of the entry called `name`; anything may stand in front of the archive. ValueError when it is damaged or not there."""
    try:
        end = content.rindex(b"PK\x05\x06")
        size, offset = struct.unpack_from("<2L", content, end + 12)
        position = end - size  # the directory stands right before its end
        return _find(content, position, position - offset, name.encode())
    except (struct.error, zlib.error) as error:
        raise ValueError(str(error)) from None


def _find(content: bytes, position: int, front: int, name: bytes) -> bytes:
    """`position` of the directory; `front`: how many bytes stand before the archive."""
    while position >= 0 and content[position : position + 4] == b"PK\x01\x02":
        (method,) = struct.unpack_from("<H", content, position + 10)
        checksum, packed, length = struct.unpack_from("<3L", content, position + 16)
        name_length, extra, comment = struct.unpack_from("<3H", content, position + 28)
        (start,) = struct.unpack_from("<L", content, position + 42)
        if content[position + 46 : position + 46 + name_length] == name:
            return _unpack(content, front + start, method, checksum, packed, length)
        position += 46 + name_length + extra + comment
    raise ValueError(f"no entry {name.decode()} in its archive")


def _unpack(content: bytes, start: int, method: int, checksum: int, packed: int, length: int) -> bytes:
    """The data after the header at `start`, never more than the directory says."""
    if method not in (_STORED, _DEFLATED) or content[start : start + 4] != b"PK\x03\x04":
        raise ValueError("its archive is inconsistent")
    name_length, extra = struct.unpack_from("<2H", content, start + 26)
    begin = start + 30 + name_length + extra
    data = content[begin : begin + packed]
    if method == _DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length) if length else b""
    if len(data) != length or zlib.crc32(data) != checksum:
        raise ValueError("its checksum is wrong")
    return data
