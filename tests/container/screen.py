"""A desktop of which only the notifications are there: what it is shown it prints, a line of JSON each. Run by the person's python3."""

import json

from gi.repository import Gio, GLib

NAME, PLACE = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
KNOWN = """<node><interface name="org.freedesktop.Notifications">
<method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/><arg type="a{sv}" direction="in"/>
<arg type="i" direction="in"/><arg type="u" direction="out"/></method>
<method name="GetCapabilities"><arg type="as" direction="out"/></method>
<method name="GetServerInformation"><arg type="s" direction="out"/><arg type="s" direction="out"/>
<arg type="s" direction="out"/><arg type="s" direction="out"/></method>
</interface></node>"""


def called(_bus, _sender, _path, _interface, method, given, call):
    """Answer as a desktop does."""
    if method == "Notify":
        app, _, _, title, text, *_ = given.unpack()
        print(json.dumps({"app": app, "title": title, "text": text}), flush=True)
        call.return_value(GLib.Variant("(u)", (1,)))
    elif method == "GetCapabilities":
        call.return_value(GLib.Variant("(as)", (["body"],)))
    else:
        call.return_value(GLib.Variant("(ssss)", ("screen", "none", "1", "1.2")))


if __name__ == "__main__":
    bus = Gio.bus_get_sync(Gio.BusType.SESSION)
    bus.register_object(PLACE, Gio.DBusNodeInfo.new_for_xml(KNOWN).interfaces[0], called, None, None)
    Gio.bus_own_name_on_connection(bus, NAME, Gio.BusNameOwnerFlags.NONE, None, None)
    GLib.MainLoop().run()
