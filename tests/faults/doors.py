"""How a shop reaches the house: the tracking host, the API and the desk, each asked until it answers."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlencode

API = "/api/v1"
JSON = "application/json"
RUNNING = "idempotency_key_running"
TRIES = 20  # with a key; a call that died at work blocks it for two minutes


class Doors:
    """`ports` are the collectors', `teller` a socket's path, `token` the key of the shop's machines."""

    def __init__(self, *, ports: Sequence[int], web_port: int, teller: str, token: str, chance: random.Random) -> None:
        self.ports, self.web_port, self.teller, self.token, self.random = ports, web_port, teller, token, chance
        self.retries = self.sent = self.refused = 0
        self.strange: list[str] = []

    def send(self, path: str, fields: object, *, method: str = "GET", final: Sequence[str] = ()) -> dict | None:
        """Call the tracking host until the answer is no fault of the house's; None where it is a refusal."""
        address = f"{path}?{urlencode(fields)}"  # type: ignore[arg-type]
        while True:
            port = self.random.choice(self.ports)
            answer = self.call(port, address, {"Host": "localhost"}, method)
            if answer is not None and answer[0] in {200, 201}:
                self.sent += 1
                return json.loads(answer[2])
            if answer is not None and answer[0] not in {500, 503}:
                code = json.loads(answer[2]).get("code")
                return self._refused(f"{address[:160]}: {answer[0]} {answer[2][:200]!r}", code, final)
            self.wait()

    def post(self, path: str, body: Mapping[str, object], *, key: str = "", final: Sequence[str] = ()) -> dict | None:
        """Post to the API as `send` calls; a key makes the call safe to repeat."""
        text, tries = json.dumps(body).encode(), 0
        while True:
            headers = {"Host": "localhost", "Authorization": f"Bearer {self.token}", "Content-Type": JSON}
            headers |= {"Idempotency-Key": f"{key}{tries // TRIES}"} if key else {}
            answer = self.call(self.web_port, f"{API}{path}", headers, "POST", text)
            if answer is not None and answer[0] in {200, 201, 202}:
                self.sent += 1
                return json.loads(answer[2])
            if answer is not None and answer[0] not in {500, 503}:
                code = json.loads(answer[2])["errors"][0]["code"]
                if code != RUNNING:
                    return self._refused(f"{path} {text[:160]!r}: {answer[0]} {answer[2][:200]!r}", code, final)
            tries += 1
            self.wait()

    def tell(self, **told: object) -> dict:
        """Tell the desk until an answer without an error comes."""
        while True:
            with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(self.teller)
                with client.makefile("rw") as lines:
                    lines.write(json.dumps(told) + "\n")
                    lines.flush()
                    answer = json.loads(lines.readline())
                if "error" not in answer:
                    self.sent += 1
                    return answer
            self.wait()

    def call(
        self, port: int, path: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None
    ) -> tuple[int, str, bytes] | None:
        """Return status, location and body, or None where nobody answered to the end."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("location", ""), answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def wait(self) -> None:
        self.retries += 1
        time.sleep(0.05)

    def _refused(self, sentence: str, code: str | None, final: Sequence[str]) -> None:
        if code in final:
            self.refused += 1
        else:
            self.strange.append(sentence)
