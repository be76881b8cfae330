#!/usr/bin/env python3
"""The console in a real browser: every state of its pages, edits, conflicts, a leader kill, keys, phones, injection.

Usage: console_test.py <raftkvd> [--screenshots <folder>] [unittest's own arguments]

Exit 77 when there is no chromium with its driver (scripts/install_deps.sh --long). Screenshots go into a temporary
folder, which is removed, unless one is named.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request

import webdriver
from webdriver import CONTROL, DOWN, END, ENTER, ESCAPE, HOME, LEFT, RIGHT, TAB, UP, wait_until

SCRIPTS = ["<img src=x onerror=\"window.pwned='{}'\">", "<script>window.pwned='{}'</script>",
           "\"><svg onload=\"window.pwned='{}'\">", "javascript:window.pwned='{}'"]

raftkvd = ""
screenshots = pathlib.Path()
browser = None


class Member:
    """One raftkvd with an HTTP port."""

    def __init__(self, folder, name, peers, flags=()):
        self.name = name
        self.http = webdriver.free_port()
        self._arguments = [
            raftkvd, f"--name={name}", f"--data_dir={folder}/{name}",
            f"--listen_client=127.0.0.1:{webdriver.free_port()}", f"--listen_peer={peers[name]}", f"--listen_http=127.0.0.1:{self.http}", "--memory_bytes_max=64MiB",
            "--initial_cluster=" + ",".join(f"{peer}={address}" for peer, address in peers.items()), *flags]
        self._log = folder / f"{name}.log"
        self._process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http}"

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stderr=log)

    def is_ready(self):
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self, paused):
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def call(self, method, request):
        """(status, answer) of a method of KvService or ClusterService, as any other client calls it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=20)
        service = "ClusterService" if method in ("GetStatus", "ListMembers") else "KvService"
        connection.request("POST", f"/raftkv.v1.{service}/{method}", json.dumps(request),
                           {"Content-Type": "application/json"})
        with contextlib.closing(connection):
            answer = connection.getresponse()
            return answer.status, json.load(answer)

    def put(self, key, text, **more):
        status, answer = self.call("Put", {"key": key, "text": text, **more})
        assert status == 200, answer
        return answer["mod_revision"]

    def get(self, key):
        status, answer = self.call("Get", {"key": key, "as_text": True})
        assert status == 200, answer
        return answer.get("kv")


class Cluster:
    """Members n1, n2, ..., all up."""

    def __init__(self, size, flags=()):
        self._folder = tempfile.TemporaryDirectory(prefix="raftkv_console_")
        folder = pathlib.Path(self._folder.name)
        peers = {f"n{i + 1}": f"127.0.0.1:{webdriver.free_port()}" for i in range(size)}
        self.members = [Member(folder, name, peers, flags) for name in peers]
        self.start()

    def start(self):
        for member in self.members:
            if member._process is None:
                member.start()
        wait_until(lambda: all(member.is_ready() for member in self.members), "all members are ready", 30)

    def leader(self):
        name = wait_until(lambda: self._leader_name(), "a leader")
        return next(member for member in self.members if member.name == name)

    def _leader_name(self):
        for member in self.members:
            if member._process is not None:
                status, answer = member.call("ListMembers", {"consistency": "CONSISTENCY_STALE"})
                for one in answer.get("members", []) if status == 200 else []:
                    if one["is_leader"]:
                        return one["name"]
        return None

    def close(self):
        for member in self.members:
            member.kill()
        self._folder.cleanup()


class Proxy(http.server.ThreadingHTTPServer):
    """Stands between browser and member. `answer(path, body)` may change what the member says; None drops it."""

    daemon_threads = True

    def __init__(self, member, answer):
        self.member = member
        self.answer = answer
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def close(self):
        self.shutdown()
        self.server_close()


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    def handle_any(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.member.http, timeout=20)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, headers)
        with contextlib.closing(connection):
            answer = connection.getresponse()
            changed = self.server.answer(self.path, answer.read())
        if changed is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(changed)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(changed)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, format, *arguments):
        pass


def key_page(member_url, key):
    return f"{member_url}/#/keys/{urllib.parse.quote(key, safe='')}"


def item(key, folder=False):
    return f'#tree [data-key="{key}"][data-folder="{str(folder).lower()}"] > .row'


class ConsoleTest(unittest.TestCase):
    size = 1
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.size, cls.flags)
        cls.member = cls.cluster.members[0]

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def setUp(self):
        browser.emulate(1280, 900, dark=False)
        browser.take_log()

    def tearDown(self):
        # The policy forbade something, or a script failed; that a member is away is no news.
        bad = [entry["message"] for entry in browser.take_log()
               if entry["level"] == "SEVERE" and "Failed to load resource" not in entry["message"]]
        self.assertEqual(bad, [])

    def open(self, page="/", member=None):
        # Also when only what stands behind the # is another one.
        browser.open("about:blank")
        url = (member or self.member).url
        browser.open(url + page)
        browser.await_text("#who", "member n")

    def open_key(self, key, member=None):
        browser.open("about:blank")
        browser.open(key_page((member or self.member).url, key))
        browser.await_text("#key-name", key)

    def shoot(self, name):
        browser.screenshot(screenshots / f"{name}.png")

    def assert_fits(self):
        """Nothing is wider than the screen."""
        self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"),
                             browser.run("return window.innerWidth"))


class EmptyStoreTest(ConsoleTest):
    def test_says_so_and_takes_the_first_key(self):
        self.open("/#/keys")
        browser.await_shown("#empty-store")
        browser.await_text("#keys-note", "0 keys")
        self.shoot("empty_store")
        browser.click("#new-key")
        browser.fill("#edit-key", "greeting")
        browser.fill("#edit-value", "hello")
        browser.click("#save")
        browser.await_text("#done", "Stored as revision 1.")
        self.assertEqual(browser.address(), f"{self.member.url}/#/keys/greeting")
        self.assertEqual(self.member.get("greeting")["text"], "hello")
        browser.await_gone("#empty-store")
        browser.await_shown(item("greeting"))
        browser.await_text("#keys-note", "1 key")


class KeysTest(ConsoleTest):
    def test_tree_opens_by_keyboard(self):
        for key in ("app/db/host", "app/db/port", "app/name", "zone"):
            self.member.put(key, f"value of {key}")
        self.open("/#/keys")
        browser.await_shown(item("app/", folder=True))
        # From the search field, which "/" goes to.
        browser.press("/")
        self.assertEqual(browser.run("return document.activeElement.id"), "search")
        browser.run("document.querySelector('#tree [tabindex=\"0\"]').focus()")
        focused = "return document.activeElement.dataset.key"
        wait_until(lambda: browser.run(focused) == "app/", "the first item has the focus")
        browser.press(RIGHT)
        browser.await_shown(item("app/name"))
        browser.press(DOWN)
        self.assertEqual(browser.run(focused), "app/db/")
        browser.press(ENTER)
        browser.await_shown(item("app/db/port"))
        browser.press(DOWN, DOWN)
        self.assertEqual(browser.run(focused), "app/db/port")
        browser.press(ENTER)
        browser.await_text("#shown", "value of app/db/port")
        self.shoot("keys_light")
        browser.press(LEFT)
        self.assertEqual(browser.run(focused), "app/db/")
        browser.press(LEFT)
        browser.await_gone(item("app/db/port"))
        browser.press(END)
        self.assertEqual(browser.run(focused), "zone")
        browser.press(HOME, UP)
        self.assertEqual(browser.run(focused), "app/")
        # One stop for Tab, whatever the tree holds.
        self.assertEqual(browser.run("return document.querySelectorAll('#tree [tabindex=\"0\"]').length"), 1)

    def test_large_folders_come_in_pages(self):
        for i in range(130):
            self.member.put(f"many/{i:04}/x", "1")
            self.member.put(f"many/{i:04}/y", "1")
        self.open("/#/keys")
        browser.click(item("many/", folder=True))
        browser.await_shown(item("many/0000/", folder=True))
        count = "return document.querySelectorAll('#tree [data-key^=\"many/\"][aria-level=\"2\"]').length"
        shown = browser.run(count)
        self.assertLess(shown, 130)
        while browser.is_shown('#tree [data-more] > .row'):
            before = browser.run(count)
            browser.click('#tree [data-more] > .row')
            wait_until(lambda: browser.run(count) > before, "more children")
        self.assertEqual(browser.run(count), 130)

    def test_search_finds_what_begins_so_and_what_contains(self):
        for key in ("find/apple", "find/pineapple", "find/plum"):
            self.member.put(key, "1")
        self.open("/#/keys")
        browser.fill("#search", "find/p")
        browser.await_text("#keys-note", "2 keys begin so")
        browser.await_shown(item("find/plum"))
        self.assertFalse(browser.is_shown(item("find/apple")))
        browser.choose("#how", "contains")
        browser.fill("#search", "apple")
        browser.await_shown(item("find/apple"))
        browser.await_text("#keys-note", "2 of ")
        self.assertFalse(browser.is_shown(item("find/plum")))
        browser.click(item("find/pineapple"))
        browser.await_text("#key-name", "find/pineapple")

    def test_values_are_shown_as_they_are(self):
        # 2^53 + 1, which a browser's own JSON would round.
        self.member.put("json", '{"n":9007199254740993,"list":[1,{}],"text":"a\\"b: {"}')
        self.open_key("json")
        browser.await_shown(item("json"))
        browser.await_text(
            "#shown", '{\n  "n": 9007199254740993,\n  "list": [\n    1,\n    {}\n  ],\n  "text": "a\\"b: {"\n}')
        browser.click('.views button:nth-child(1)')
        browser.await_text("#shown", '{"n":9007199254740993,')
        status, _ = self.member.call("Put", {"key": "bytes", "data": "AP97"})
        self.assertEqual(status, 200)
        self.open_key("bytes")
        browser.await_text("#shown", "00000000  00 ff 7b")
        self.assertEqual(browser.text(".views"), "Hex")
        self.member.put("empty", "")
        self.open_key("empty")
        browser.await_text("#size", "0 B")
        self.assertEqual(browser.text("#shown"), "")

    def test_a_ttl_counts_down_and_the_key_goes(self):
        self.member.put("short", "1", ttl="3s")
        self.open_key("short")
        browser.await_text("#ttl", "in ")
        browser.await_shown("#no-such-key", 15)

    def test_an_edit_keeps_or_changes_the_expiry(self):
        self.member.put("timed", "old", ttl="600s")
        self.open_key("timed")
        browser.click("#edit")
        browser.fill("#edit-value", "new")
        browser.click("#save")
        browser.await_text("#done", "Stored")
        self.assertGreater(float(self.member.get("timed")["ttl_remaining"][:-1]), 500)
        browser.click("#edit")
        browser.choose("#edit-expiry", "in")
        browser.fill("#edit-ttl", "2")
        browser.choose("#edit-ttl-unit", "3600")
        browser.click("#save")
        wait_until(lambda: float(self.member.get("timed")["ttl_remaining"][:-1]) > 7000, "two hours")
        browser.await_text("#done", "Stored")
        browser.click("#edit")
        browser.choose("#edit-expiry", "never")
        browser.click("#save")
        wait_until(lambda: "ttl_remaining" not in self.member.get("timed"), "it does not expire")

    def test_a_text_field_changes_no_bytes(self):
        self.member.put("crlf", "one\r\ntwo\r\n")
        self.open_key("crlf")
        browser.click("#edit")
        browser.await_shown("#edit-value")
        self.assertEqual(browser.run("return document.getElementById('edit-value').value"),
                         "6f 6e 65 0d 0a 74 77 6f 0d 0a")
        browser.fill("#edit-value", "6f 6e 65 0d 0a 3")
        browser.click("#save")
        browser.await_text("#edit-message", "pairs of hexadecimal digits")
        browser.fill("#edit-value", "6f 6e 65 0D\n0a33")
        browser.click("#save")
        browser.await_text("#done", "Stored")
        self.assertEqual(self.member.get("crlf")["text"], "one\r\n3")

    def test_an_edit_by_keyboard(self):
        self.member.put("by/keyboard", '{"a": 1}')
        self.open_key("by/keyboard")
        browser.await_shown("#edit")
        browser.run("document.getElementById('edit').focus()")
        browser.press(ENTER)
        browser.await_shown("#edit-value")
        self.assertEqual(browser.run("return document.activeElement.id"), "edit-value")
        browser.press((CONTROL, END), ",")
        browser.await_text("#edit-hint", "not JSON any more")
        browser.press(ESCAPE)
        browser.await_text("#dialog-title", "Leave without saving?")
        browser.press(ESCAPE)
        browser.await_gone("#dialog")
        self.assertTrue(browser.is_shown("#edit-value"), "it stays")
        browser.press((CONTROL, ENTER))
        browser.await_text("#done", "Stored")
        self.assertEqual(self.member.get("by/keyboard")["text"], '{"a": 1},')
        # Tab reaches the pages from the top.
        self.open()
        reached = set()
        for _ in range(4):
            browser.press(TAB)
            reached.add(browser.run("return document.activeElement.id || document.activeElement.className"))
        self.assertEqual(reached, {"skip", "nav-overview", "nav-keys", "theme"})

    def test_who_has_typed_is_asked_before_leaving(self):
        self.member.put("typed", "1")
        self.open_key("typed")
        browser.click("#edit")
        browser.fill("#edit-value", "2")
        browser.click("#nav-overview")
        browser.await_text("#dialog-title", "Leave without saving?")
        browser.press(ESCAPE)
        browser.await_gone("#dialog")
        self.assertTrue(browser.is_shown("#edit-value"))
        browser.click("#nav-overview")
        browser.click('#dialog [data-value="leave"]')
        browser.await_shown("#overview")
        self.assertEqual(self.member.get("typed")["text"], "1")


class ConflictTest(ConsoleTest):
    def begin_edit(self, key, mine):
        self.member.put(key, "what I saw")
        self.open_key(key)
        browser.click("#edit")
        browser.fill("#edit-value", mine)

    def test_both_are_shown_and_mine_may_replace_theirs(self):
        self.begin_edit("both", "mine")
        theirs = self.member.put("both", "theirs")
        browser.click("#save")
        browser.await_text("#conflict", "Nothing was written")
        self.assertEqual(browser.text("#theirs pre"), "theirs")
        self.assertEqual(browser.text("#mine pre"), "mine")
        self.assertEqual(self.member.get("both")["text"], "theirs")
        self.shoot("conflict")
        # Once more, while it is looked at: what was not seen is not overwritten.
        newer = self.member.put("both", "newer")
        browser.click("#overwrite")
        browser.await_text("#conflict", f"You saw revision {theirs}; stored now is revision {newer}")
        self.assertEqual(self.member.get("both")["text"], "newer")
        browser.click("#overwrite")
        browser.await_text("#done", "Stored")
        self.assertEqual(self.member.get("both")["text"], "mine")

    def test_mine_may_be_discarded_or_go_on(self):
        self.begin_edit("discard", "mine")
        self.member.put("discard", "theirs")
        browser.click("#save")
        browser.click("#edit-mine")
        browser.await_shown("#edit-value")
        self.assertEqual(browser.run("return document.getElementById('edit-value').value"), "mine")
        self.member.put("discard", "newest")
        browser.click("#save")
        browser.await_text("#theirs pre", "newest")
        browser.click("#discard")
        browser.await_text("#shown", "newest")
        self.assertEqual(self.member.get("discard")["text"], "newest")

    def test_a_key_that_was_deleted_meanwhile(self):
        self.begin_edit("gone", "mine")
        self.member.call("Delete", {"key": "gone"})
        browser.click("#save")
        browser.await_text("#theirs", "It was deleted.")
        self.assertIsNone(self.member.get("gone"))
        browser.click("#overwrite")
        browser.await_text("#done", "Stored")
        self.assertEqual(self.member.get("gone")["text"], "mine")

    def test_a_new_key_that_is_there_already(self):
        self.member.put("taken", "theirs")
        self.open("/#/new")
        browser.fill("#edit-key", "taken")
        browser.fill("#edit-value", "mine")
        browser.click("#save")
        browser.await_text("#conflict", "You saw no such key")
        self.assertEqual(self.member.get("taken")["text"], "theirs")

    def test_delete_asks_and_deletes_what_was_seen_alone(self):
        self.member.put("delete/me", "seen")
        self.open_key("delete/me")
        # Its folder is open, as nobody came by the tree.
        browser.await_shown(item("delete/me"))
        browser.click("#delete")
        browser.await_text("#dialog", "delete/me")
        self.shoot("delete")
        browser.press(ESCAPE)
        browser.await_gone("#dialog")
        self.assertIsNotNone(self.member.get("delete/me"))
        self.member.put("delete/me", "not seen")
        browser.click("#delete")
        browser.click('#dialog [data-value="delete"]')
        browser.await_text("#theirs pre", "not seen")
        self.assertIsNotNone(self.member.get("delete/me"))
        browser.click("#overwrite")
        browser.await_text("#done", "Deleted.")
        self.assertIsNone(self.member.get("delete/me"))

    def test_bad_input_is_named(self):
        self.open("/#/new")
        browser.fill("#edit-value", "x")
        browser.click("#save")
        browser.await_text("#edit-message", "key")
        browser.fill("#edit-key", "big")
        browser.run("document.getElementById('edit-value').value = 'x'.repeat((1 << 20) + 1)")
        browser.click("#save")
        browser.await_text("#edit-message", "1048576")
        self.assertTrue(browser.is_shown("#edit-value"), "nothing of it is lost")
        browser.run("document.getElementById('edit-value').value = ''; document.getElementById('edit-key').value = ''")

    def test_a_lost_answer_is_looked_up(self):
        self.member.put("lost", "before")
        proxy = Proxy(self.member, lambda path, body: None if path.endswith("/Put") else body)
        try:
            browser.open("about:blank")
            browser.open(key_page(proxy.url, "lost"))
            browser.click("#edit")
            browser.fill("#edit-value", "after")
            browser.click("#save")
            browser.await_text("#edit-message", "it may have been done", 30)
            browser.click("#find-outcome")
            browser.await_text("#done", "It was stored")
        finally:
            proxy.close()
        self.assertEqual(self.member.get("lost")["text"], "after")


class ClusterTest(ConsoleTest):
    size = 3

    def setUp(self):
        super().setUp()
        self.cluster.start()

    def state_of(self, name):
        return browser.text(f'#members [data-member="{name}"] td:nth-child(2)')

    def test_the_overview_of_a_healthy_cluster(self):
        leader = self.cluster.leader()
        self.open(member=leader)
        browser.run("sessionStorage.clear()")
        browser.reload()
        browser.await_text("#figure-leader", leader.name)
        # Some load, and for so long that it makes a line.
        points = "return document.querySelector('#chart-writes .line').getAttribute('d').split('L').length"
        written = 0
        while browser.run(points) < 6:
            for _ in range(1 + written % 30):
                leader.put(f"load/{written % 100}", "x")
                leader.get(f"load/{written % 100}")
                written += 1
        wait_until(lambda: browser.text("#figure-keys") == leader.call("GetStatus", {})[1]["key_count"], "all keys")
        for member in self.cluster.members:
            state = "leader" if member is leader else "follower"
            wait_until(lambda: self.state_of(member.name) == state, f"{member.name} is a {state}")
            row = f'#members [data-member="{member.name}"]'
            browser.await_text(f"{row} td:nth-child(3)", "none")
            browser.await_text(f"{row} td:nth-child(4)", "this member" if member is leader else "answers")
        for chart in ("writes", "reads", "write_p99", "read_p99", "sync_p99"):
            browser.await_text(f"#chart-{chart} .scale", "peak")
            self.assertRegex(browser.text(f"#chart-{chart} .now"), r"^[0-9.,]+( µs| ms| s)?$")
        browser.await_text("#watches", "None.")
        self.assertFalse(browser.is_shown("#banners .banner"))
        self.assertFalse(browser.is_shown("#readonly"))
        # A reload forgets nothing of it.
        browser.reload()
        browser.await_text("#chart-writes .scale", "peak")
        self.assertGreaterEqual(browser.run(points), 6)
        self.shoot("overview_light")
        browser.emulate(1280, 900, dark=True)
        self.shoot("overview_dark")
        # The button wins over the system, and a reload keeps it.
        back = "return getComputedStyle(document.body).backgroundColor"
        dark = browser.run(back)
        browser.click("#theme")
        browser.await_text("#theme", "light")
        self.assertNotEqual(browser.run(back), dark)
        browser.reload()
        browser.await_text("#theme", "light")
        self.assertNotEqual(browser.run(back), dark)
        browser.click("#theme")
        browser.click("#theme")
        browser.await_text("#theme", "auto")

    def test_a_leader_is_killed_while_it_is_open(self):
        leader = self.cluster.leader()
        page, other = [member for member in self.cluster.members if member is not leader]
        page.put("kept", "value")
        self.open(member=page)
        browser.await_text("#figure-leader", leader.name)
        leader.kill()
        browser.await_text("#member-down", leader.name, 30)
        wait_until(lambda: browser.text("#figure-leader") in (page.name, other.name), "another leader is shown", 30)
        wait_until(lambda: self.state_of(leader.name) == "down", "it is down")
        browser.await_text(f'#members [data-member="{leader.name}"] td:nth-child(4)', "silent for")
        browser.await_text("#leader-changes", f"{leader.name} → ")
        self.assertFalse(browser.is_shown("#no-leader"))
        self.shoot("leader_killed")

        other.kill()
        browser.await_shown("#no-leader", 30)
        wait_until(lambda: browser.text("#figure-leader") == "none", "nobody leads")
        self.shoot("no_leader")
        browser.click("#nav-keys")
        browser.await_text("#keys-note", "as this member has them")
        browser.click(item("kept"))
        browser.await_text("#shown", "value")
        browser.click("#edit")
        browser.fill("#edit-value", "changed")
        browser.click("#save")
        browser.await_text("#edit-message", "leader", 30)
        self.assertTrue(browser.is_shown("#edit-value"), "it can be tried again")
        self.cluster.start()
        browser.await_gone("#no-leader", 30)
        browser.click("#save")
        browser.await_text("#done", "Stored", 30)
        browser.click("#nav-overview")
        browser.await_gone("#member-down", 30)
        browser.await_text("#leader-changes", "nobody → ")

    def test_its_own_member_goes_away(self):
        member = self.cluster.members[0]
        self.open(member=member)
        browser.await_text("#members", "n3")
        member.pause(True)
        try:
            browser.await_text("#no-answer", "does not answer", 40)
            self.assertTrue(browser.run("return document.getElementById('overview').classList.contains('stale')"))
            self.assertEqual(browser.text("#chart-writes .now"), "not available")
            self.shoot("member_does_not_answer")
        finally:
            member.pause(False)
        browser.await_gone("#no-answer", 40)
        self.assertFalse(browser.run("return document.getElementById('overview').classList.contains('stale')"))

    def test_on_a_phone(self):
        self.member.put("phone/a-key-with-a-rather-long-name-that-has-to-wrap-somewhere", "x" * 300)
        browser.emulate(390, 844, dark=True)
        self.open()
        browser.await_text("#members", "n3")
        self.assert_fits()
        self.shoot("phone_overview")
        browser.click("#nav-keys")
        browser.click(item("phone/", folder=True))
        browser.await_shown(item("phone/a-key-with-a-rather-long-name-that-has-to-wrap-somewhere"))
        self.assertFalse(browser.is_shown("#value"))
        self.assert_fits()
        browser.click(item("phone/a-key-with-a-rather-long-name-that-has-to-wrap-somewhere"))
        browser.await_text("#shown", "xxx")
        self.assertFalse(browser.is_shown("#tree"))
        self.assert_fits()
        self.shoot("phone_value")
        browser.click("#edit")
        browser.await_shown("#save")
        self.assert_fits()
        browser.click("#cancel")
        browser.await_shown("#edit")
        browser.click("#value .back")
        browser.await_shown("#tree")


class InjectionTest(ConsoleTest):
    def assert_harmless(self, shown):
        browser.await_text("body", shown)
        self.assertIsNone(browser.run("return window.pwned ?? null"))
        made = browser.run("return document.querySelectorAll('main img, main script, main [onload]').length")
        self.assertEqual(made, 0)

    def test_a_key(self):
        for script in SCRIPTS:
            key = script.format("key")
            self.member.put(key, "1")
            self.member.put(f"{key}/below", "1")
            self.open("/#/keys")
            browser.await_shown("#tree .row")
            self.assert_harmless(key.split("/")[0])
            self.open_key(key)
            browser.await_shown("#delete")
            self.assert_harmless(key)
            browser.click("#delete")
            browser.await_text("#dialog", key)
            self.assert_harmless(key)
            browser.press(ESCAPE)
            browser.fill("#search", key[:6])
            browser.await_text("#keys-note", "begin so")
            self.assert_harmless(key)

    def test_a_value(self):
        for script in SCRIPTS:
            value = script.format("value")
            for text in (value, json.dumps({"a": value})):
                self.member.put("value", text)
                self.open_key("value")
                browser.await_shown("#shown")
                self.assert_harmless(value.split('"')[0])
                browser.click(".views button:last-child")
                browser.await_text("#shown", "00000000")
                browser.click("#edit")
                browser.fill("#edit-value", "mine " + value)
                self.member.put("value", "theirs " + value)
                browser.click("#save")
                browser.await_shown("#conflict")
                self.assert_harmless("theirs " + value)
                browser.click("#discard")
                browser.await_shown("#edit")

    def test_a_member_name_and_a_warning(self):
        # No member may have such a name, so one that lies is put in its place.
        script = SCRIPTS[0].format("name")

        def answer(path, body):
            if path.endswith(("/ListMembers", "/GetStatus")):
                document = json.loads(body)
                for member in document.get("members", []):
                    member["name"] = member["version"] = member["peer_address"] = member["client_address"] = script
                if "name" in document:
                    document["name"] = script
                    document["warnings"] = [script]
                return json.dumps(document).encode()
            return body
        proxy = Proxy(self.member, answer)
        try:
            browser.open("about:blank")
            browser.open(proxy.url + "/")
            browser.await_text("#members", script)
            browser.await_text("#figure-leader", script)
            browser.await_text("#who", script)
            browser.await_text("#warnings", script)
            self.assert_harmless(script)
        finally:
            proxy.close()

    def test_the_policy_stops_what_would_get_in(self):
        self.open()
        refused = browser.run("""const element = document.createElement('div');
                                 document.body.append(element);
                                 try {
                                   element.innerHTML = '<img src=x onerror="window.pwned=1">';
                                 } catch (error) {
                                   return error.name;
                                 }
                                 return element.innerHTML;""")
        self.assertEqual(refused, "TypeError", "no text becomes markup")
        loaded = browser.run_async("""const done = arguments[0];
            const image = new Image();
            image.onload = () => done(true);
            image.onerror = () => done(false);
            image.src = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';""")
        self.assertFalse(loaded)
        sent = browser.run_async("""const done = arguments[0];
            fetch('http://127.0.0.1:1/').then(() => done('sent'), () => done('not sent'));""")
        self.assertEqual(sent, "not sent")
        framed = browser.run_async("""const done = arguments[0];
            const frame = document.createElement('iframe');
            frame.src = '/';
            frame.onload = () => done(frame.contentDocument?.body.textContent ?? null);
            document.body.append(frame);""")
        self.assertIn(framed, (None, ""), "not even by itself")
        log = " ".join(entry["message"] for entry in browser.take_log())
        for directive in ("img-src", "connect-src", "frame-src", "TrustedHTML"):
            self.assertIn(directive, log)
        self.assertIsNone(browser.run("return window.pwned ?? null"))


class ReadOnlyTest(ConsoleTest):
    flags = ("--console=readonly",)

    def test_offers_no_edits_and_says_so(self):
        self.member.put("a", "1")
        self.open("/#/keys")
        browser.await_shown("#readonly")
        browser.click(item("a"))
        browser.await_text("#shown", "1")
        for button in ("#edit", "#delete", "#new-key"):
            self.assertFalse(browser.is_shown(button), button)
        self.shoot("readonly")
        self.open("/#/new")
        self.assertFalse(browser.is_shown("#save"))
        # Neither may a page do it by itself, however it asks.
        script = """const [path, mode, done] = arguments;
            fetch(path, {method: 'POST', mode, headers: {'Content-Type': 'application/json'},
                         body: '{"key": "a", "' + (path === '/set' ? 'value' : 'text') + '": "2"}'})
                .then((answer) => answer.json()).then((body) => done(body.error?.reason ?? 'done'));"""
        for path in ("/raftkv.v1.KvService/Put", "/set"):
            for mode in ("cors", "same-origin", "no-cors"):
                self.assertEqual(browser.run_async(script, path, mode), "CONSOLE_READONLY")
        self.assertEqual(self.member.get("a")["text"], "1")
        # The API stays.
        self.member.put("a", "3")


class OffTest(ConsoleTest):
    flags = ("--console=off",)

    def test_is_not_there(self):
        browser.open(self.member.url + "/")
        browser.await_text("body", "NO_SUCH_ROUTE")
        self.member.put("a", "1")


def main():
    global raftkvd, screenshots, browser
    parser = argparse.ArgumentParser()
    parser.add_argument("raftkvd")
    parser.add_argument("--screenshots", type=pathlib.Path)
    options, rest = parser.parse_known_args()
    programs = webdriver.find_programs()
    if programs is None:
        print("console_test: no chromium with chromedriver here: scripts/install_deps.sh --long installs them")
        return 77
    raftkvd = str(pathlib.Path(options.raftkvd).resolve())
    kept = options.screenshots is not None
    screenshots = options.screenshots if kept else pathlib.Path(tempfile.mkdtemp(prefix="raftkv_screens_"))
    screenshots.mkdir(parents=True, exist_ok=True)
    browser = webdriver.Browser(*programs)
    try:
        return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1
    finally:
        browser.close()
        if not kept:
            shutil.rmtree(screenshots)


if __name__ == "__main__":
    sys.exit(main())
