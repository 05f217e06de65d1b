"""What a screen reader hears: reads another program's window through AT-SPI, as Orca does, and acts through it.

usage: reader.py PID SECONDS. Each line on standard input is a wish (JSON), answered by one line (JSON). Wishes wait until
they can be granted, SECONDS at most; then {"failed": why}.
"""
import json
import sys
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

PID, PATIENCE = int(sys.argv[1]), float(sys.argv[2])
heard = []


def listen(event):
    """A live region speaks."""
    try:
        if event.source.get_process_id() == PID:
            heard.append(event.any_data if isinstance(event.any_data, str) else event.source.get_name())
    except GLib.Error:
        pass  # gone again


def children(node):
    for at in range(node.get_child_count()):
        child = node.get_child_at_index(at)
        if child is not None:
            yield child


def window():
    for program in children(Atspi.get_desktop(0)):
        if program.get_process_id() == PID:
            program.clear_cache()
            for child in children(program):
                return child
    return None


def walk(node, depth=0):
    yield node, depth
    for child in children(node):
        yield from walk(child, depth + 1)


def states(node):
    known = ("FOCUSED", "SELECTED", "SHOWING", "ENABLED", "EXPANDED", "CHECKED", "PRESSED", "MODAL")
    its = node.get_state_set()
    return [name.lower() for name in known if its.contains(getattr(Atspi.StateType, name))]


def told(node, depth=0):
    return {"role": node.get_role_name(), "name": node.get_name(), "states": states(node), "depth": depth}


def fits(node, wish):
    if "role" in wish and node.get_role_name() != wish["role"]:
        return False
    name = node.get_name() or ""
    return wish.get("name", name) == name and name.startswith(wish.get("starts", "")) and wish.get("holds", "") in name \
        and (wish.get("state") is None or wish["state"] in states(node))


def find(wish):
    top = window()
    return None if top is None else next((node for node, _ in walk(top) if fits(node, wish)), None)


def tree():
    top = window()
    return [] if top is None else [told(node, depth) for node, depth in walk(top)]


def until(try_it, why):
    """Tries again each time that something has happened, and now and then."""
    start = time.monotonic()
    while True:
        try:
            got = try_it()
        except GLib.Error:
            got = None  # it went while it was being looked at
        if got is not None:
            return got
        if time.monotonic() - start > PATIENCE:
            return {"failed": why, "heard": heard, "tree": [f"{n['role']}: {n['name']} {' '.join(n['states'])}" for n in tree()]}
        GLib.timeout_add(50, lambda: False)
        GLib.MainContext.default().iteration(True)


def see(wish):
    node = find(wish)
    return None if node is None else told(node)


def gone(wish):
    return {} if window() is not None and find(wish) is None else None


def press(wish):
    """The first action of what fits, as a screen reader's user triggers it."""
    node = find(wish)
    if node is None or node.get_n_actions() == 0:
        return None
    return told(node) if node.do_action(0) else None


def where(wish):
    """The middle of it, in the window."""
    node = find(wish)
    if node is None:
        return None
    box = node.get_extents(Atspi.CoordType.WINDOW)
    return {"x": box.x + box.width // 2, "y": box.y + box.height // 2} if box.width > 0 else None


def announced(wish):
    return next(({"name": text} for text in heard if wish["holds"] in text), None)


WISHES = {"see": see, "gone": gone, "press": press, "where": where, "announced": announced}


def main():
    Atspi.init()
    listener = Atspi.EventListener.new(listen)
    listener.register("object:announcement")
    until(window, "the window is in the tree")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        if wish["do"] == "tree":
            answer = {"tree": tree()}
        else:
            answer = until(lambda: WISHES[wish["do"]](wish), f"not within {PATIENCE} s: {wish}")
        print(json.dumps(answer), flush=True)


main()
