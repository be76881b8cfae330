"""A browser by the WebDriver protocol (https://www.w3.org/TR/webdriver/): as much of it as the console's test needs."""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

# Keys without a character.
ENTER = "\ue007"
ESCAPE = "\ue00c"
TAB = "\ue004"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"
HOME, END = "\ue011", "\ue010"
CONTROL = "\ue009"
SHIFT = "\ue008"


def find_programs():
    """(browser, driver), or None when one is not there."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def wait_until(condition, what, seconds=15.0):
    """Returns the condition's first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class WebDriverError(Exception):
    """What the driver refused; `args[0]` is its name for it."""


class Browser:
    """One window of a headless Chromium, with a profile of its own."""

    def __init__(self, browser, driver):
        port = free_port()
        self._profile = tempfile.TemporaryDirectory(prefix="raftkv_console_")
        self._driver = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self._url = f"http://127.0.0.1:{port}"
        self._session = None
        wait_until(self._is_ready, "the driver is ready")
        options = {
            "binary": browser,
            # As root there is no sandbox; nothing but this test's own pages is opened.
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-extensions",
                     "--hide-scrollbars", f"--user-data-dir={self._profile.name}", "--window-size=1280,900"],
        }
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = answer["sessionId"]

    def close(self):
        try:
            if self._session is not None:
                self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._profile.cleanup()

    def _is_ready(self):
        try:
            return self._send("GET", "/status")["ready"]
        except OSError:
            return False

    def _send(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(value["error"], value["message"]) from None

    def _call(self, method, path, body=None):
        return self._send(method, f"/session/{self._session}{path}", body)

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def reload(self):
        self._call("POST", "/refresh", {})

    def address(self):
        return self._call("GET", "/url")

    def run(self, script, *arguments):
        """The value of a function with this body."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """The value that the body gives to the callback, its last argument."""
        return self._call("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def find(self, css):
        """The first such element that is shown, or None."""
        for found in self._call("POST", "/elements", {"using": "css selector", "value": css}):
            try:
                if self._call("GET", f"/element/{found[ELEMENT]}/displayed"):
                    return found[ELEMENT]
            except WebDriverError as error:
                if error.args[0] != "stale element reference":
                    raise
        return None

    def text(self, css):
        """Its text, or "" when it is not there."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", css)

    def is_shown(self, css):
        # In one step, so that nothing is drawn anew in between.
        return self.run("""return [...document.querySelectorAll(arguments[0])].some(
            (element) => element.getClientRects().length > 0 && element.checkVisibility());""", css)

    def await_shown(self, css, seconds=15.0):
        return wait_until(lambda: self.find(css), f"{css} is shown", seconds)

    def await_gone(self, css, seconds=15.0):
        wait_until(lambda: not self.is_shown(css), f"{css} is gone", seconds)

    def await_text(self, css, part, seconds=15.0):
        try:
            wait_until(lambda: part in self.text(css), f"{css} says {part!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.text(css)!r}") from None

    def click(self, css):
        def try_it():
            element = self.find(css)
            if element is None:
                return False
            try:
                self._call("POST", f"/element/{element}/click", {})
                return True
            except WebDriverError as error:
                # It was drawn anew, or something moves.
                if error.args[0] in ("stale element reference", "element click intercepted"):
                    return False
                raise
        wait_until(try_it, f"{css} can be clicked")

    def fill(self, css, text):
        """Replaces what a field says."""
        element = self.await_shown(css)
        self._call("POST", f"/element/{element}/clear", {})
        if text:
            self._call("POST", f"/element/{element}/value", {"text": text})

    def choose(self, css, value):
        """Chooses an option of a select."""
        self.click(f'{css} option[value="{value}"]')

    def press(self, *keys):
        """Presses keys where the focus is; a tuple is pressed together."""
        actions = []
        for key in keys:
            together = key if isinstance(key, tuple) else (key,)
            actions += [{"type": "keyDown", "value": one} for one in together]
            actions += [{"type": "keyUp", "value": one} for one in reversed(together)]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def resize(self, width, height):
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def emulate(self, width, height, dark):
        """A screen of this size, exactly, with these preferences; width 0: the window's own."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": 0 < width < 700}
        self._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
        scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                               {"name": "prefers-reduced-motion", "value": "reduce"}]}
        self._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": scheme})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def take_log(self):
        """What the page's console says since the last call, [{level, message}]."""
        return self._call("POST", "/se/log", {"type": "browser"})
