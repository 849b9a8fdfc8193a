"""Calls, subscribes, is cut off and resumes: `python3 demo.py ws://127.0.0.1:8080`.

The server is that of __tests__/python/python.test.ts, behind a relay that breaks the connection in the middle. Every
line says what held; the exit code is 1 if something did not.
"""

import sys
import threading
import time

from holdfast_client import Client, HoldfastError, Session
from holdfast_wire import BigInt

COUNT = 200


def check(what, holds):
    print(("ok " if holds else "FAILED ") + what, flush=True)
    if not holds:
        sys.exit(1)


def main(url):
    connected, states = [], []

    def on_state(text):
        states.append(text)
        if text.startswith("connected"):
            connected.append(text.removeprefix("connected: "))

    client = Client(url, client_id="python", on_state=on_state)
    check("an rpc is answered", client.call("demo", "add", {"a": 1, "b": 2}, timeout=5) == {"sum": 3})
    session = client.session

    try:
        client.call("demo", "divide", {"a": 1, "b": 0}, timeout=5)
        check("a declared error is raised", False)
    except HoldfastError as error:
        check("a declared error is raised", error.code == "DIV_BY_ZERO")

    kinds = {"bytes": b"\x00*\xff", "big": BigInt(2**60), "tag": {"$b": "5"}, "text": "h\u00e9llo", "nil": None}
    check("every kind of value comes back as it was", client.call("demo", "echo", kinds, timeout=5) == kinds)

    upload = client.open("demo", "collect", {}, many=False)

    def send_all():
        for i in range(COUNT):
            upload.send({"i": i})
            time.sleep(0.002)
        upload.close()

    threading.Thread(target=send_all, daemon=True).start()
    received = [value["i"] for value in client.subscribe("demo", "count", {"to": COUNT})]
    collected = upload.result(timeout=10)["values"]
    check("the subscription lost and repeated nothing", received == list(range(COUNT)))
    check("the upload lost and repeated nothing", collected == list(range(COUNT)))
    check("the connection was cut", len(connected) >= 2)
    check("the session stayed the same", set(connected) == {session.id} and client.session is session)

    thief = Client(url, client_id="python", on_state=on_state, session=Session(session.id, "x" * 32), retry=False)
    try:
        thief.call("demo", "add", {"a": 1, "b": 2}, timeout=5)
        check("a wrong token is refused", False)
    except HoldfastError as error:
        check("a wrong token is refused", error.code == "SESSION_STATE_MISMATCH")
    check("and harms nobody", client.call("demo", "add", {"a": 2, "b": 2}, timeout=5) == {"sum": 4})
    check("in the same session", client.session is session)
    print(f"connections {len(connected)} session {session.id}", flush=True)
    client.close()


if __name__ == "__main__":
    main(sys.argv[1])
