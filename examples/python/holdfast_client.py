"""A small holdfast client: standard library only, JSON over WebSocket, written from PROTOCOL.md alone.

It speaks River v2.0 with the `heartbeat` and `resume` extensions. One thread dials, reads and keeps the session;
calls may be made from any other thread.
"""

import queue
import random
import secrets
import string
import threading
import time
from collections import deque
from contextlib import closing

from holdfast_wire import MAX_MESSAGE_BYTES, MAX_SAFE, TIMEOUT_S, BigInt, WebSocket, decode, encode

ACK_ONLY, OPEN, CANCEL, CLOSE = 1, 2, 4, 8
ACK_AFTER_MESSAGES, ACK_AFTER_BYTES, GRACE_S = 128, 65_536, 30.0


class HoldfastError(Exception):
    """A call or a session that failed, with a code of PROTOCOL.md or of the application."""

    def __init__(self, code, message, extras=None):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.extras = code, message, extras


class Session:
    """What outlives connections: counters, unacknowledged frames, open calls."""

    def __init__(self, session_id=None, token=None):
        self.id = session_id or f"session-{_random_id()}"
        self.token = token or secrets.token_urlsafe(32)  # the same in every handshake of the session
        self.next_seq = self.ack = self.unreported_messages = self.unreported_bytes = 0
        self.unacked, self.calls = deque(), {}  # (seq, frame); stream id -> Call
        self.accepted, self.ended, self.lost_at = None, False, time.monotonic()

    def oldest_unacked(self):
        return self.unacked[0][0] if self.unacked else self.next_seq

    def discard_below(self, ack):
        while self.unacked and self.unacked[0][0] < ack:
            self.unacked.popleft()


class Call:
    """One stream. Iterating gives the payloads of ok results, and raises HoldfastError for another one."""

    def __init__(self, client, session, uploads, many):
        self._client, self.session, self.uploads, self.many = client, session, uploads, many
        self.id, self._results = _random_id(), queue.SimpleQueue()

    def send(self, value):
        self._client._send(self.session, self.id, 0, {"payload": value})

    def close(self):
        if self.uploads:
            self._client._send(self.session, self.id, CLOSE, {"payload": {"type": "CLOSE"}})
        self.uploads = False

    def cancel(self):
        error = _error("CANCEL", "cancelled by client")
        if self.session.calls.pop(self.id, None):
            self._client._send(self.session, self.id, CANCEL, {"payload": error})
            self.take(error, True)

    def take(self, result, ends):
        for item in [result] * (result is not None) + [None] * ends:
            self._results.put(item)

    def result(self, timeout=None):
        """The next payload. StopIteration at the end; queue.Empty after `timeout` seconds without one."""
        result = self._results.get(timeout=timeout)
        if result is None:
            self._results.put(None)  # the end stays the end
            raise StopIteration
        if not result["ok"]:
            raise HoldfastError(**result["payload"])
        return result.get("payload")

    def __iter__(self):
        return self

    __next__ = result


def _error(code, message):
    return {"ok": False, "payload": {"code": code, "message": message}}


def _random_id():
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, (bool, BigInt)) and 0 <= value <= MAX_SAFE


def _is_result(value):
    if not isinstance(value, dict) or value.get("ok") is not False:
        return isinstance(value, dict) and value.get("ok") is True
    error = value.get("payload")
    return isinstance(error, dict) and isinstance(error.get("code"), str) and isinstance(error.get("message"), str)


def _read_envelope(frame):
    message = decode(frame)
    texts, counters = ("id", "from", "to", "streamId"), ("seq", "ack", "controlFlags")
    if isinstance(message, dict) and all(isinstance(message.get(key), str) for key in texts):
        if all(_is_integer(message.get(key)) for key in counters):
            return message
    raise ValueError("no envelope")


COUNTERS = {"heartbeat": ("intervalMs", "misses"), "resume": ("nextExpectedSeq", "oldestUnackedSeq", "nextSeq")}


def _lasting(extensions):
    """What must be the same in every answer of a session: all but the counters of `resume`."""
    instance = extensions["resume"]["instance"] if "resume" in extensions else None
    return extensions.get("heartbeat"), instance


class Client:
    """Keeps a session with a server until `close`. `on_state(text)` is told what happens to connections."""

    def __init__(
        self, url, client_id=None, server_id="SERVER", metadata=None, on_state=print, session=None, retry=True
    ):
        self._url, self._server_id, self._metadata, self._retry = url, server_id, metadata, retry
        self.client_id, self.on_state = client_id or f"client-{_random_id()}", on_state
        self.session, self.error = session or Session(), None
        self._changed, self._socket, self._stopped = threading.Condition(threading.RLock()), None, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def open(self, service, procedure, init, closes=False, many=True):
        """Opens a stream; with `closes`, for rpc and subscription, without a request half of its own."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self.session.accepted is not None)
            if self._stopped:
                raise self.error or HoldfastError("UNEXPECTED_DISCONNECT", "the client was closed")
            call = Call(self, self.session, not closes, many)
            self.session.calls[call.id] = call
            names = {"serviceName": service, "procedureName": procedure, "payload": init}
            self._send(self.session, call.id, OPEN | CLOSE if closes else OPEN, names)
            return call

    def call(self, service, procedure, init, timeout=None):
        return self.open(service, procedure, init, closes=True, many=False).result(timeout)

    def subscribe(self, service, procedure, init):
        return self.open(service, procedure, init, closes=True)

    def close(self):
        with self._changed:
            self._stopped = True
            self._end_session("the client was closed")
            if self._socket:
                self._socket.close()
        self._thread.join(TIMEOUT_S)

    def _envelope(self, seq, ack, stream_id, flags, rest):
        head = {"id": _random_id(), "from": self.client_id, "to": self._server_id, "seq": seq, "ack": ack}
        return encode({**head, "streamId": stream_id, "controlFlags": flags, **rest})

    def _send(self, session, stream_id, flags, rest):
        """Numbers, encodes and keeps a message; writes it if there is a connection."""
        with self._changed:
            if session.ended:
                return
            frame = self._envelope(session.next_seq, session.ack, stream_id, flags, rest)
            if len(frame) > MAX_MESSAGE_BYTES:
                raise ValueError("the message is over the limit")
            session.unacked.append((session.next_seq, frame))
            session.next_seq += 1
            session.unreported_messages = session.unreported_bytes = 0
            self._write(frame)

    def _write(self, frame):
        try:
            if self._socket:
                self._socket.send(frame)
        except OSError:
            self._socket.close()  # the reading thread notices

    def _end_session(self, why):
        session, self.session = self.session, Session()
        session.ended = True
        for call in session.calls.values():
            call.take(_error("UNEXPECTED_DISCONNECT", why), True)
        session.calls.clear()
        self._changed.notify_all()

    def _run(self):
        failures = 0
        while not self._stopped:
            connected_at, interval = None, 0
            try:
                with closing(WebSocket(self._url)) as connection:
                    session, interval = self._shake_hands(connection)
                    connected_at = time.monotonic()
                    self._read(connection, session, interval)
            except (OSError, ValueError, HoldfastError) as error:
                self.on_state(f"no connection: {error}")
                with self._changed:
                    self._socket = None
                    fatal = isinstance(error, HoldfastError) and error.code != "SESSION_STATE_MISMATCH"
                    if fatal or not self._retry:
                        self._stopped, self.error = True, error
                    if connected_at:
                        self.session.lost_at = time.monotonic()
                    if not isinstance(error, OSError) or time.monotonic() - self.session.lost_at > GRACE_S:
                        self._end_session(str(error))
            # A connection that does not hold for an interval counts as a failed dial.
            failures = 0 if connected_at and time.monotonic() - connected_at > interval else failures + 1
            if not self._stopped:
                time.sleep((min(0.15 * 2 ** (failures - 1), 32) if failures else 0) + random.uniform(0, 0.2))

    def _shake_hands(self, connection):
        """Request and answer. Returns the session and the interval of heartbeats in seconds."""
        session, accepted = self.session, self.session.accepted
        resume = {"token": session.token, "everConnected": accepted is not None, "nextSeq": session.next_seq}
        if accepted and "resume" in accepted:
            resume["instance"] = accepted["resume"]["instance"]
        request = {
            "type": "HANDSHAKE_REQ",
            "protocolVersion": "v2.0",
            "sessionId": session.id,
            "expectedSessionState": {"nextExpectedSeq": session.ack, "nextSentSeq": session.oldest_unacked()},
            "extensions": {"heartbeat": {}, "resume": resume},
            **({} if self._metadata is None else {"metadata": self._metadata()}),
        }
        connection.send(self._envelope(0, 0, _random_id(), 0, {"payload": request}))
        frame = connection.receive(TIMEOUT_S)
        try:
            extensions = self._read_answer(_read_envelope(frame), session)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise HoldfastError("MALFORMED_HANDSHAKE", str(error)) from error
        with self._changed:
            if session.ended:
                raise ConnectionError("the session ended meanwhile")
            self._check_answer(session, extensions)
            self._socket, session.accepted = connection, accepted if accepted is not None else extensions
            for _, frame in session.unacked:
                self._write(frame)
            self._changed.notify_all()
        self.on_state(f"connected: {session.id}")
        return session, extensions.get("heartbeat", {"intervalMs": 1000})["intervalMs"] / 1000

    def _read_answer(self, answer, session):
        """What was accepted of what was offered."""
        status = answer["payload"]["status"]
        if not status["ok"]:
            raise HoldfastError(status["code"], status["reason"])
        names = (answer["from"], answer["to"], answer["payload"]["type"], status["sessionId"])
        if names != (self._server_id, self.client_id, "HANDSHAKE_RESP", session.id):
            raise ValueError("the answer is somebody else's")
        extensions = status.get("extensions", {})
        accepted = {name: extensions[name] for name in ("heartbeat", "resume") if name in extensions}
        counters = [(name, key) for name, keys in COUNTERS.items() if name in accepted for key in keys]
        if not all(_is_integer(accepted[name][key]) for name, key in counters):
            raise ValueError("an extension of another shape")
        return accepted

    def _check_answer(self, session, extensions):
        """What the first answer of a session accepted holds for the whole session."""
        before, resume = session.accepted, extensions.get("resume")
        problem = None
        if before is not None and _lasting(before) != _lasting(extensions):
            problem = "the server has lost its memory, or accepts other extensions than at first"
        elif resume is not None and not (
            session.oldest_unacked() <= resume["nextExpectedSeq"] <= session.next_seq
            and resume["oldestUnackedSeq"] <= session.ack <= resume["nextSeq"]
        ):
            problem = "the two halves do not fit"
        if problem:
            raise HoldfastError("SESSION_STATE_MISMATCH", problem)
        session.discard_below(resume["nextExpectedSeq"] if resume else 0)

    def _read(self, connection, session, interval):
        allowed, silent = session.accepted.get("heartbeat", {"misses": 18})["misses"] + 2, 0
        while silent < allowed:
            began = time.monotonic()
            try:
                frame = connection.receive(interval)
            except TimeoutError:  # a wait that took much longer was our own stall, and counts nothing
                silent += time.monotonic() - began < 1.5 * interval
                continue
            silent = 0
            with self._changed:
                if session.ended:
                    raise ConnectionError("the session ended")
                self._on_frame(session, frame)
        raise ConnectionError("the server is silent")

    def _on_frame(self, session, frame):
        message = _read_envelope(frame)
        seq, stream_id, flags = message["seq"], message["streamId"], message["controlFlags"]
        payload = message.get("payload")
        if (message["from"], message["to"]) != (self._server_id, self.client_id):
            raise ValueError("from or to somebody else")
        if seq < session.ack:
            return  # a duplicate
        if seq > session.ack:
            raise ConnectionError("a message is missing")
        if message["ack"] > session.next_seq:
            raise ValueError("an ack beyond what was sent")
        session.discard_below(message["ack"])
        session.ack = seq + 1
        if flags & ACK_ONLY:
            return self._send(session, "heartbeat", ACK_ONLY, {"payload": {"type": "ACK"}})
        session.unreported_messages += 1
        session.unreported_bytes += len(frame)
        if stream_id == "rehandshake":
            if payload == {"type": "REHANDSHAKE_REQ"}:
                metadata = {} if self._metadata is None else {"metadata": self._metadata()}
                self._send(session, stream_id, 0, {"payload": {"type": "REHANDSHAKE_RESP", **metadata}})
        elif stream_id in session.calls:
            self._on_response(session.calls[stream_id], flags, payload)
        if session.unreported_messages >= ACK_AFTER_MESSAGES or session.unreported_bytes >= ACK_AFTER_BYTES:
            self._send(session, "heartbeat", ACK_ONLY, {"payload": {"type": "ACK"}})

    def _on_response(self, call, flags, payload):
        closes = flags & CLOSE and payload == {"type": "CLOSE"}
        if not _is_result(payload) and not (closes and call.many):
            if flags & CANCEL:
                payload = _error("CANCEL", "cancelled by server")
            else:
                self._send(call.session, call.id, CANCEL, {"payload": _error("CANCEL", "the response is no result")})
                payload, flags = _error("UNCAUGHT_ERROR", "the response is no result"), CANCEL
        ends = flags & (CANCEL | CLOSE) or not call.many
        call.take(None if closes and call.many else payload, bool(ends))
        if ends:
            del call.session.calls[call.id]
            if call.uploads and not flags & CANCEL:
                call.close()
