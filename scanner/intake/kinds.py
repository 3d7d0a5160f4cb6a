"""What a file is, by its content: a name is the author's to choose."""

HEAD_BYTES = 16 * 2**20
# Kinds that are looked into; all others are told by their first bytes alone.
PICKLE, ZIP, NUMPY, TEXT, UNKNOWN = "pickle", "zip archive", "numpy array", "text", "binary"
NATIVE, SCRIPT, ARCHIVE, MODEL = "native program", "script", "archive", "model"

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
    (b"\xca\xfe\xba\xbe", NATIVE),
    (b"\x00asm", NATIVE),
    (b"#!", SCRIPT),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"Rar!", ARCHIVE),
    (b"\x1f\x8b", ARCHIVE),
    (b"\x1f\x9d", ARCHIVE),
    (b"BZh", ARCHIVE),
    (b"\xfd7zXZ\x00", ARCHIVE),
    (b"\x28\xb5\x2f\xfd", ARCHIVE),
    (b"\x04\x22\x4d\x18", ARCHIVE),
    (b"\x89HDF\r\n\x1a\n", MODEL),
    (b"GGUF", MODEL),
    (b"ggml", MODEL),
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
)
# zlib without a container, as joblib writes it: a first byte of 0x78 and a checksum over the first two.
_ZLIB_FIRST = 0x78
_TAR_MAGIC = (257, b"ustar")
# Compiled Python: a version number of 3.x, then a line's end.
_PYTHON_VERSIONS, _PYTHON_MAGIC_END = range(0x0C, 0x10), b"\r\n"


def kind_of(head: bytes, size: int) -> str:
    """The kind of a file from its first `HEAD_BYTES`, `size` being the length of the whole; pickles aside."""
    text = _is_text(head)
    for first, kind in _FIRST_BYTES:
        # A text may begin with the letters MZ or GGUF.
        if head.startswith(first) and (not text or kind in (SCRIPT, ZIP)):
            return kind
    if text:
        return TEXT
    if head.startswith(_TAR_MAGIC[1], _TAR_MAGIC[0]):
        return ARCHIVE
    if head[:1] == bytes([_ZLIB_FIRST]) and int.from_bytes(head[:2], "big") % 31 == 0:
        return ARCHIVE
    if head[2:4] == _PYTHON_MAGIC_END and head[1] in _PYTHON_VERSIONS:
        return NATIVE
    return "safetensors" if _is_safetensors(head, size) else UNKNOWN


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
