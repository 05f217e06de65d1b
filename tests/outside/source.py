"""A window to drag files from, as a file manager's. usage: source.py X Y PATH..."""
import os
import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, GLib, Gtk  # noqa: E402

x, y = int(sys.argv[1]), int(sys.argv[2])
uris = [GLib.filename_to_uri(os.path.abspath(path), None) for path in sys.argv[3:]]


def say(word):
    print(word, flush=True)


window = Gtk.Window(type=Gtk.WindowType.POPUP)
window.set_default_size(120, 80)
window.move(x, y)
box = Gtk.EventBox()
box.add(Gtk.Label(label="drag me"))
window.add(box)
target = Gtk.TargetEntry.new("text/uri-list", 0, 0)
actions = Gdk.DragAction.COPY | Gdk.DragAction.MOVE | Gdk.DragAction.LINK
box.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [target], actions)


def give(_widget, _context, selection, _info, _time):
    selection.set_uris(uris)
    say("asked")


box.connect("drag-begin", lambda *_: say("begun"))
box.connect("drag-data-get", give)
box.connect("drag-failed", lambda *_: say("failed"))
box.connect("drag-end", lambda *_: say("ended"))
box.connect("map-event", lambda *_: say("ready"))
window.connect("map-event", lambda *_: say("ready"))
window.show_all()
Gtk.main()
