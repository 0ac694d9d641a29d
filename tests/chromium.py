"""A headless Chromium driven over the DevTools pipe, without any library."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any


class Browser:
    """Headless Chromium over the DevTools pipe: open a page, evaluate, press keys, collect what went wrong."""

    def __init__(self, profile: Path) -> None:
        there, self._out = os.pipe()
        self._in, back = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
        flags += ["--disable-component-update", "--no-first-run", "--disable-dev-shm-usage", "--window-size=1300,1000"]
        command = ["chromium", *flags, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{there} 4>&{back}', "bash", *command],
            pass_fds=(there, back),
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(back)
        self._count, self._loads, self._buffer, self._session, self._tab = 0, 0, b"", "", ""
        self.problems: list[str] = []
        self.requests: list[str] = []

    def new_tab(self) -> None:
        """Close the tab that is there, open another, and forget what went wrong."""
        self._session = ""
        if self._tab:
            self.send("Target.closeTarget", targetId=self._tab)
        self._tab = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=self._tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.problems.clear()
        self.requests.clear()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise RuntimeError("chromium ended early")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.problems.append(json.dumps(parameters)[:500])
            case "Log.entryAdded":
                self.problems.append(parameters["entry"]["text"])
            case "Page.loadEventFired":
                self._loads += 1
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
        return message

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method and wait for its result."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, page: Path) -> None:
        """Load a file and wait until it has."""
        self.visit(page.resolve().as_uri())

    def visit(self, url: str) -> None:
        """Load an address and wait until it has."""
        self._leave("Page.navigate", url=url)

    def follow(self, expression: str) -> None:
        """Evaluate what leads to another page (a click), and wait until that has loaded."""
        self._leave("Runtime.evaluate", expression=expression)

    def _leave(self, method: str, **parameters: Any) -> None:
        loads = self._loads
        self.send(method, **parameters)
        while self._loads == loads:
            self._next()

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
