"""What a file is, by its content: a name is the author's to choose."""

import tarfile

HEAD_BYTES = 16 * 2**20
TAIL_BYTES = 70_000  # a zip's table of contents ends within 64 KiB of the file's end
# Kinds that are looked into; all others are told by their first bytes alone.
PICKLE, ZIP, NUMPY, TEXT, UNKNOWN = "pickle", "zip archive", "numpy array", "text", "binary"
NATIVE, SCRIPT, ARCHIVE, MODEL, WEIGHTS = "native program", "script", "archive", "model", "safetensors"
IMAGE, POINTER = "image", "pointer of git's large files"

_FIRST_BYTES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\x93NUMPY", NUMPY),
    (b"\x7fELF", NATIVE),
    (b"MZ", NATIVE),
    (b"\xfe\xed\xfa\xce", NATIVE),
    (b"\xfe\xed\xfa\xcf", NATIVE),
    (b"\xce\xfa\xed\xfe", NATIVE),
    (b"\xcf\xfa\xed\xfe", NATIVE),
    (b"\xca\xfe\xba\xbe", NATIVE),  # macOS, for several machines; and Java
    (b"\xca\xfe\xba\xbf", NATIVE),
    (b"\xbe\xba\xfe\xca", NATIVE),
    (b"\xbf\xba\xfe\xca", NATIVE),
    (b"dex\n03", NATIVE),
    (b"\x00asm", NATIVE),
    (b"BC\xc0\xde", NATIVE),
    (b"#!", SCRIPT),
    (b"L\x00\x00\x00\x01\x14\x02\x00", SCRIPT),  # a shortcut of Windows, which starts what it names
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"Rar!", ARCHIVE),
    (b"\x1f\x8b", ARCHIVE),
    (b"\x1f\x9d", ARCHIVE),
    (b"BZh", ARCHIVE),
    (b"\xfd7zXZ\x00", ARCHIVE),
    (b"\x5d\x00\x00", ARCHIVE),  # lzma without a container, as joblib writes it
    (b"LZIP\x01", ARCHIVE),
    (b"\x89LZO\x00", ARCHIVE),
    (b"\x28\xb5\x2f\xfd", ARCHIVE),
    (b"\x04\x22\x4d\x18", ARCHIVE),
    (b"\x02\x21\x4c\x18", ARCHIVE),
    (b"\xff\x06\x00\x00sNaPpY", ARCHIVE),
    (b"MSCF\x00", ARCHIVE),
    (b"!<arch>\n", ARCHIVE),
    (b"070701", ARCHIVE),  # cpio
    (b"070702", ARCHIVE),
    (b"070707", ARCHIVE),
    (b"\xed\xab\xee\xdb", ARCHIVE),
    (b"hsqs", ARCHIVE),
    (b"sqsh", ARCHIVE),
    (b"xar!", ARCHIVE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ARCHIVE),  # Microsoft's compound files, among them msi
    (b"GGUF", MODEL),
    (b"ggml", MODEL),
    (b"\x89PNG", IMAGE),
    (b"\xff\xd8\xff", IMAGE),
    (b"GIF8", IMAGE),
)
_ANY_FIRST_BYTES = tuple(first for first, _ in _FIRST_BYTES)
# Frames that readers of zstd and lz4 skip may stand first; sixteen marks are set aside for them.
_SKIPPED_FIRST, _SKIPPED_REST = range(0x50, 0x60), b"\x2a\x4d\x18"
# zlib without a container, as joblib writes it: a first byte of 0x78 and a checksum over the first two.
_ZLIB_FIRST = 0x78
_TAR_MAGIC = (257, b"ustar")
_ISO_MAGIC = (0x8001, b"CD001")
# HDF5 may begin behind a block of the user's own, of 512 bytes or twice, four times, ... as many.
_HDF5_MAGIC, _HDF5_FIRST_PLACE = b"\x89HDF\r\n\x1a\n", 512
# Compiled Python: a version number of 2.x or 3.x, then a line's end.
_PYTHON_VERSIONS, _PYTHON_MAGIC_END = (*range(0x0B, 0x10), 0xF2, 0xF3), b"\r\n"
_POINTER_START, _POINTER_BYTES = b"version https://git-lfs.github.com/spec/", 1024


def kind_of(head: bytes, size: int) -> str:
    """The kind of a file from its first `HEAD_BYTES`, `size` being the length of the whole; pickles aside."""
    text = _is_text(head)
    # Most members of an archive begin with none of them, and one look tells.
    for first, kind in _FIRST_BYTES if head.startswith(_ANY_FIRST_BYTES) else ():
        # A text may begin with the letters MZ or GGUF.
        if head.startswith(first) and (not text or kind in (SCRIPT, ZIP)):
            return kind
    # Three that tell themselves further in, and may begin with a text.
    if _is_tar(head) or head.startswith(_ISO_MAGIC[1], _ISO_MAGIC[0]):
        return ARCHIVE
    if _is_hdf5(head):
        return MODEL
    if text:
        return POINTER if head.startswith(_POINTER_START) and size <= _POINTER_BYTES else TEXT
    if _is_packed(head):
        return ARCHIVE
    if head[2:4] == _PYTHON_MAGIC_END and head[1] in _PYTHON_VERSIONS:
        return NATIVE
    return WEIGHTS if _is_safetensors(head, size) else UNKNOWN


def _is_tar(head: bytes) -> bool:
    if head.startswith(_TAR_MAGIC[1], _TAR_MAGIC[0]):
        return True
    block = head[: tarfile.BLOCKSIZE]
    # A text hardly ever has a number where the first block's checksum stands.
    if len(block) < tarfile.BLOCKSIZE or not block[148:156].strip(b" \0"):
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):  # the checksum of the older form, which has no other mark
        return False
    return True


def _is_packed(head: bytes) -> bool:
    if head[1:4] == _SKIPPED_REST and head[0] in _SKIPPED_FIRST:
        return True
    return head[:1] == bytes([_ZLIB_FIRST]) and int.from_bytes(head[:2], "big") % 31 == 0


def _is_hdf5(head: bytes) -> bool:
    place = 0
    while place < len(head):
        if head.startswith(_HDF5_MAGIC, place):
            return True
        place = 2 * place or _HDF5_FIRST_PLACE
    return False


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= size - 8


def _is_text(head: bytes) -> bool:
    sample = head[:4096]
    if b"\0" in sample:
        return False
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(sample) - 4 and len(sample) == 4096
    return True
