"""What the units of astria-sync ask of systemd, option by option, each with its reason. systemd/ and docs/service.md are made of it."""

from dataclasses import dataclass
from typing import Final

USER, SYSTEM = "user", "system"


@dataclass(frozen=True, kw_only=True)
class Option:
    """A line of a unit."""

    name: str
    value: str
    why: str
    only: str = ""  # in a user's unit, or in one of the system, alone
    namespaces: bool = False  # in a user's unit it needs user namespaces


# The order is that of the unit. What is said together stands together.
RUNNING: Final = (
    Option(
        name="Type",
        value="notify",
        why="ready after the first look at all folders, with or without a network",
    ),
    Option(
        name="WatchdogSec",
        value="180",
        why="fed by the engine's own loop, and only while work moves",
    ),
    Option(
        name="TimeoutStopSec",
        value="20",
        why="above the drain of 8 s and the guard that ends what hangs after 9.5 s",
    ),
    Option(
        name="Restart",
        value="on-failure",
        why="a defect, a lost disk, the watchdog: begin again; nothing is paid twice",
    ),
    Option(name="RestartSec", value="10", why="what stands in its way may be over by then"),
    Option(
        name="RestartPreventExitStatus",
        value="2 3 4",
        why="wrong configuration, another daemon, a refused token: only a person can mend these",
    ),
    Option(
        name="RuntimeDirectory",
        value="astria-sync",
        why="where daemons of this user tell each other which roots they watch",
        only=USER,
    ),
    Option(name="RuntimeDirectoryMode", value="0700", why="for nobody else", only=USER),
    Option(name="RuntimeDirectoryPreserve", value="yes", why="another daemon may be in it", only=USER),
    Option(
        name="LoadCredential",
        value="astria-token:/etc/astria-sync/%i.token",
        why="the token in a file of root's (0600), which the service is given; it counts before the user's own",
        only=SYSTEM,
    ),
    Option(
        name="SetCredential",
        value="astria-token:\\n",
        why="without that file an empty one, and the user's own token counts",
        only=SYSTEM,
    ),
    Option(name="UMask", value="0077", why="pictures and state are their owner's alone"),
    Option(name="LimitCORE", value="0", why="memory holds the token, so none of it is left on the disk"),
    Option(
        name="OOMPolicy",
        value="stop",
        why="a process that was killed for want of memory is started anew as a whole",
    ),
)

HARDENING: Final = (
    Option(name="NoNewPrivileges", value="yes", why="nothing that it runs can become more than it is"),
    Option(
        name="PrivateUsers",
        value="yes",
        why="a user's own manager can make the mounts below only in a user namespace; without this line it leaves them out silently",
        namespaces=True,
    ),
    Option(name="ProtectSystem", value="strict", why="the whole system is read-only", namespaces=True),
    Option(
        name="TemporaryFileSystem",
        value="/home:ro /root:ro /run/user:ro",
        why="homes and /run/user are empty but for what is bound below: no ~/.ssh, no mail, no other user's files; and read-only, "
        "which ProtectHome=tmpfs is not in a user's unit: what is written beside a bound folder would be lost",
        namespaces=True,
    ),
    Option(
        name="InaccessiblePaths",
        value="-/run/dbus",
        why="the system's D-Bus, where whoever is logged in may mount disks or switch the machine off",
        namespaces=True,
    ),
    Option(name="PrivateTmp", value="yes", why="a /tmp of its own", namespaces=True),
    Option(name="PrivateDevices", value="yes", why="no devices but /dev/null and the like", namespaces=True),
    Option(name="PrivateMounts", value="yes", why="what is mounted in it stays in it", namespaces=True),
    Option(
        name="PrivateIPC",
        value="yes",
        why="no shared memory or message queues of others; in a user's unit `systemctl reload` would fail every other time",
        only=SYSTEM,
    ),
    Option(
        name="ProtectKernelTunables",
        value="yes",
        why="it reads the limits of inotify and changes none",
        namespaces=True,
    ),
    Option(name="ProtectKernelModules", value="yes", why="it loads none", namespaces=True),
    Option(name="ProtectKernelLogs", value="yes", why="it reads none", namespaces=True),
    Option(name="ProtectControlGroups", value="yes", why="it minds no processes but itself", namespaces=True),
    Option(name="ProtectHostname", value="yes", why="it does not name the machine", namespaces=True),
    Option(name="ProtectClock", value="yes", why="it reads the clock and never sets it", namespaces=True),
    Option(
        name="ProtectProc",
        value="invisible",
        why="other users' processes are not to be seen; in a user's unit it does nothing",
        only=SYSTEM,
    ),
    Option(
        name="CapabilityBoundingSet",
        value="",
        why="it needs none of root's powers",
        namespaces=True,
    ),
    Option(name="AmbientCapabilities", value="", why="likewise", only=SYSTEM),
    Option(name="RemoveIPC", value="yes", why="nothing of it is left when it ends", only=SYSTEM),
    Option(
        name="DevicePolicy", value="closed", why="as PrivateDevices, kept by the control group", only=SYSTEM
    ),
    Option(name="KeyringMode", value="private", why="the kernel's keys of others are none of its business"),
    Option(
        name="RestrictAddressFamilies",
        value="AF_INET AF_INET6 AF_UNIX",
        why="Astria over HTTPS, and the sockets of systemd and of its own commands",
    ),
    Option(name="RestrictNamespaces", value="yes", why="it makes none, so nobody climbs out through one"),
    Option(name="RestrictRealtime", value="yes", why="it cannot take the processor from others"),
    Option(name="RestrictSUIDSGID", value="yes", why="no file that it writes runs as somebody else"),
    Option(name="LockPersonality", value="yes", why="no older kernel's behaviour, which exploits like"),
    Option(
        name="MemoryDenyWriteExecute",
        value="yes",
        why="memory that was written is never run: Python needs no such, and a flaw in an image decoder wants it",
    ),
    Option(name="SystemCallArchitectures", value="native", why="no second, less tried set of system calls"),
    Option(name="SystemCallFilter", value="@system-service", why="what services need"),
    Option(
        name="SystemCallFilter",
        value="~@privileged @resources",
        why="and of that nothing that needs root's powers or moves the limits of resources",
    ),
    Option(
        name="SystemCallErrorNumber",
        value="EPERM",
        why="a call that is refused fails, and is told, instead of ending the process",
    ),
)
