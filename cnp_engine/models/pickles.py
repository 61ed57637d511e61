"""What a pickle would import, read off its opcodes without running any of them.

Knows the pickle language and which few names a file of weights needs; knows nothing of torch.
The stack machine is followed symbolically, strings and memo included, so that a name assembled
for STACK_GLOBAL out of memoised pieces is seen as well as a plain GLOBAL.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from cnp_engine.printing import printable

TORCH_NAMES = frozenset(
    {
        "collections.OrderedDict",
        "collections.Counter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._tensor._rebuild_from_type_v2",
        "torch.nn.parameter.Parameter",
        "torch.Size",
        "torch.Tensor",
        "torch.device",
        "torch.storage.UntypedStorage",
        "torch.storage.TypedStorage",
        "torch.serialization._get_layout",
        "_codecs.encode",
        "builtins.set",
        "builtins.complex",
    }
)
"""Names a file of weights needs; a part of what torch's own safe loader allows."""

_TORCH_TYPES = re.compile(
    r"torch\.([A-Z]\w*Storage|q?u?int\d{1,2}|float(8_\w+|16|32|64)?"
    r"|bfloat16|half|double|bool|complex(32|64|128))"
)

_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "exceptions": "builtins"}
"""Modules that protocols up to 2 store under their Python 2 name."""

_TEXT_OPS = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE",
     "STRING", "BINSTRING", "SHORT_BINSTRING"}
)  # fmt: skip
_BYTES_OPS = frozenset({"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"})
_PUT_OPS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GET_OPS = frozenset({"GET", "BINGET", "LONG_BINGET"})

_LARGEST_NESTED = 64 << 20
_DEEPEST_NESTED = 4
_MOST_NESTED = 64

_LONGEST_NAME = 120

_MARK = object()
_UNKNOWN = object()


@dataclass
class Scan:
    """One pickle's opcodes. ``complete`` where they run up to STOP."""

    imports: list[str] = field(default_factory=list)
    nested: list[bytes] = field(default_factory=list)
    integers: list[int] = field(default_factory=list)
    complete: bool = False
    protocol: int = 0


def allowed(name: str, extra: Iterable[str] = ()) -> bool:
    """Whether a file of weights may name this: torch's plain tensor parts, or one of ``extra``."""
    return name in TORCH_NAMES or name in extra or _TORCH_TYPES.fullmatch(name) is not None


def scan(file: BinaryIO) -> Scan:
    """Follow one pickle from the file's position to just after its STOP; never raises for content.

    Damaged opcodes end the scan: a real unpickler would have run what stands before them, so
    what was seen up to there counts.
    """
    seen = Scan()
    machine = _Machine(seen)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.step(opcode, argument)
        seen.complete = True
    except (ValueError, IndexError, KeyError, EOFError, OverflowError, MemoryError):
        # pickletools answers malformed bytes with these; UnicodeDecodeError is a ValueError
        seen.complete = False
    seen.imports = list(dict.fromkeys(printable(name, _LONGEST_NAME) for name in seen.imports))
    return seen


def imports_in(data: bytes, depth: int = 0) -> tuple[str, ...]:
    """Every name in the pickles of ``data`` (a raw pickle stream or a torch zip), nested ones too.

    Only for telling people what a refused file attempted: what is nested runs only if
    something outside of it, refused already, unpacks it.
    """
    found: list[str] = []
    for pickle in _pickles_of(data):
        seen = _whole_stream(pickle)
        for part in seen:
            found += part.imports
            if depth < _DEEPEST_NESTED:
                for inner in part.nested:
                    found += imports_in(inner, depth + 1)
    return tuple(dict.fromkeys(found))


def _pickles_of(data: bytes) -> Iterator[bytes]:
    if not data.startswith(b"PK\x03\x04"):
        yield data
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".pkl") and entry.file_size <= _LARGEST_NESTED:
                    yield archive.read(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError):
        return  # a damaged archive inside a refused file has nothing more to tell


def _whole_stream(data: bytes, most: int = 8) -> list[Scan]:
    """Pickles that stand one after another; the first incomplete one is the last."""
    file = io.BytesIO(data)
    seen: list[Scan] = []
    while len(seen) < most and file.tell() < len(data):
        seen.append(scan(file))
        if not seen[-1].complete:
            break
    complete = [part for part in seen if part.complete]
    # A blob that is no pickle at all still parses for an opcode or two.
    return complete or [part for part in seen if part.imports]


def is_whole_network(imports: Iterable[str]) -> bool:
    """Whether these are the imports of a pickled ``nn.Module`` rather than of an attack."""
    return any(name.startswith(("torch.nn.modules.", "torch.nn.parallel.")) for name in imports)


class _Machine:
    """The pickle machine with strings kept, everything else an unknown value."""

    def __init__(self, seen: Scan) -> None:
        self.seen = seen
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name = opcode.name
        if name in _PUT_OPS:
            self.memo[argument] = self._top()
        elif name in _GET_OPS:
            self.stack.append(self.memo.get(argument, _UNKNOWN))
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self._top()
        elif name == "DUP":
            self.stack.append(self._top())
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name == "STACK_GLOBAL":
            attribute, module = self._pop(), self._pop()
            self._global(module, attribute)
        else:
            self._note(name, argument)
            self._generic(opcode, argument)

    def _note(self, name: str, argument: Any) -> None:
        if name in ("GLOBAL", "INST"):
            module, _, attribute = str(argument).partition(" ")
            self.seen.imports.append(f"{_RENAMED.get(module, module)}.{attribute}")
        elif name.startswith("EXT"):
            self.seen.imports.append(f"copyreg.extension_{argument}")
        elif name == "PROTO":
            self.seen.protocol = argument
        elif isinstance(argument, int):
            if len(self.seen.integers) < _MOST_NESTED:
                self.seen.integers.append(argument)
        elif name in _BYTES_OPS and isinstance(argument, bytes | bytearray):
            self._keep_nested(bytes(argument))
        elif name in _TEXT_OPS and (_pickle_like(argument[:2]) or argument.endswith(".")):
            # protocols up to 2 store bytes as text for _codecs.encode(text, "latin1")
            self._keep_nested(argument.encode("latin1", "replace"))

    def _keep_nested(self, data: bytes) -> None:
        short_text = len(data) <= 1 << 16 and data.endswith(b".") and b"\n" in data
        worth = data.startswith(b"PK\x03\x04") or _pickle_like(data[:2].decode("latin1"))
        room = len(self.seen.nested) < _MOST_NESTED and len(data) <= _LARGEST_NESTED
        if room and (worth or short_text):
            self.seen.nested.append(data)

    def _global(self, module: object, attribute: object) -> None:
        parts = [part if isinstance(part, str) else "?" for part in (module, attribute)]
        if self.seen.protocol < 3:
            parts[0] = _RENAMED.get(parts[0], parts[0])
        self.seen.imports.append(".".join(parts))
        self.stack.append(_UNKNOWN)

    def _generic(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        before = opcode.stack_before
        if pickletools.markobject in before:
            while self.stack and self.stack.pop() is not _MARK:
                pass
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            self._pop()
        value = argument if opcode.name in _TEXT_OPS else _UNKNOWN
        self.stack.extend(value for _ in opcode.stack_after)

    def _top(self) -> object:
        return self.stack[-1] if self.stack else _UNKNOWN

    def _pop(self) -> object:
        return self.stack.pop() if self.stack else _UNKNOWN


def _pickle_like(head: str) -> bool:
    return len(head) == 2 and ((head[0] == "\x80" and ord(head[1]) <= 5) or head == "PK")
