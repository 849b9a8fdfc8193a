"""Frames of the holdfast protocol: the JSON codec, and a WebSocket that carries them. Standard library only."""

import base64
import hashlib
import json
import math
import re
import secrets
import socket
import struct
import threading
from contextlib import suppress
from decimal import Decimal  # int() refuses more than 4 300 digits
from urllib.parse import urlsplit

MAX_SAFE, MAX_LEVELS, MAX_BIGINT_DIGITS, MAX_MESSAGE_BYTES, TIMEOUT_S = 2**53 - 1, 64, 10_000, 1 << 20, 5.0


class BigInt(int):
    """A bigint of the other side, kept apart from its numbers."""


def _look_alike(value):
    """The tag key of an object that is a tag or looks like one, else None."""
    key = "$t" if "$t" in value else "$b"
    text, escape = value.get(key), value.get("$e", "")
    if value.keys() - {"$e"} != {key} or not isinstance(text, str) or not isinstance(escape, str) or escape.strip("$"):
        return None
    if key == "$b":
        return key if re.fullmatch(r"0|-?[1-9][0-9]*", text) else None
    with suppress(ValueError):  # written again it differs where unused bits are not zero
        return key if base64.b64encode(base64.b64decode(text, validate=True)).decode() == text else None


def _to_wire(value, level):
    """What json.dumps writes for `value`. A BigInt, and any integer beyond 2**53 - 1, is a bigint."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) <= MAX_SAFE
        return int(value) if whole else value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, BigInt) and abs(value) <= MAX_SAFE:
        return value
    if level > MAX_LEVELS:
        raise ValueError(f"more than {MAX_LEVELS} levels")
    if isinstance(value, int):
        return {"$b": str(Decimal(value))}
    if isinstance(value, (bytes, bytearray)):
        return {"$t": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [_to_wire(item, level + 1) for item in value]
    wire = {key: _to_wire(item, level + 1) for key, item in value.items()}
    if _look_alike(value):
        wire["$e"] = value["$e"] + "$" if "$e" in value else ""
    return wire


def _from_wire(value, level):
    if not isinstance(value, (dict, list)):
        whole = isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE
        return int(value) if whole else value
    if level > MAX_LEVELS:
        raise ValueError(f"more than {MAX_LEVELS} levels")
    if isinstance(value, list):
        return [_from_wire(item, level + 1) for item in value]
    key = _look_alike(value)
    if key and "$e" in value:  # an escaped look-alike of the user's
        return {**value, "$e": value["$e"][1:]} if value["$e"] else {key: value[key]}
    if key == "$b" and len(value[key].lstrip("-")) > MAX_BIGINT_DIGITS:
        raise ValueError(f"a bigint of more than {MAX_BIGINT_DIGITS} digits")
    if key:
        return base64.b64decode(value[key]) if key == "$t" else BigInt(Decimal(value[key]))
    return {name: _from_wire(item, level + 1) for name, item in value.items()}


def encode(message):
    return json.dumps(_to_wire(message, 1), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode(frame):
    try:
        return _from_wire(json.loads(frame.decode("utf-8"), parse_constant=lambda name: 1 // 0), 1)
    except (RecursionError, ZeroDivisionError) as error:
        raise ValueError("nested too deeply, or NaN, or Infinity") from error


# --- WebSocket (RFC 6455), the client's side ---


class WebSocket:
    """A connection that carries whole frames. `receive` raises TimeoutError and loses nothing by it."""

    def __init__(self, url):
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer, self._message, self._send_lock = bytearray(), bytearray(), threading.Lock()
        key, target = base64.b64encode(secrets.token_bytes(16)).decode(), parts._replace(scheme="", netloc="").geturl()
        self._socket.sendall(
            f"GET {target or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._need(len(self._buffer) + 1)
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if not head.startswith(b"HTTP/1.1 101") or b" " + base64.b64encode(digest) not in head:
            self._socket.close()
            raise ConnectionError(f"no WebSocket: {head[:40]}")

    def _need(self, count):
        while len(self._buffer) < count:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise ConnectionError("the connection ended")
            self._buffer += chunk

    def send(self, body, opcode=0x2):
        size = len(body)
        form, code = ("!B", size) if size < 126 else ("!BH", 126) if size < 65_536 else ("!BQ", 127)
        length = struct.pack(form, 0x80 | code, *([] if size < 126 else [size]))
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[at & 3] for at, byte in enumerate(body))
        with self._send_lock:
            self._socket.sendall(bytes([0x80 | opcode]) + length + mask + masked)

    def _next_frame(self):
        self._need(2)
        first, size = self._buffer[0], self._buffer[1]
        at = {126: 4, 127: 10}.get(size, 2)
        self._need(at)
        size = int.from_bytes(self._buffer[2:at], "big") if at > 2 else size
        if first & 0x70 or self._buffer[1] & 0x80 or size + len(self._message) > MAX_MESSAGE_BYTES:
            raise ConnectionError("a frame that is reserved, masked or over the limit")
        self._need(at + size)
        body = bytes(self._buffer[at : at + size])
        del self._buffer[: at + size]
        return first & 0x80, first & 0x0F, body

    def receive(self, timeout):
        """The next message, whole. Other threads may send meanwhile."""
        self._socket.settimeout(timeout)
        while True:
            final, opcode, body = self._next_frame()
            if opcode == 0x8:
                raise ConnectionError("the server closed the connection")
            if opcode == 0x9:
                self.send(body, 0xA)
            elif opcode <= 0x2:
                self._message += body
            if opcode <= 0x2 and final:
                message, self._message = bytes(self._message), bytearray()
                return message

    def close(self):
        with suppress(OSError):
            self.send(struct.pack("!H", 1000), 0x8)
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
