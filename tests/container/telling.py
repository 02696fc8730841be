"""What a person is told by the service, on a desktop of hers."""

import json
from pathlib import Path
from typing import Final

from tests.container.box import until
from tests.container.scenarios import COMMANDS
from tests.container.stage import SOON, Stage

SCREEN: Final = "/usr/local/lib/screen.py"
SHOWN: Final = "shown.txt"  # in her home
OFF, ON = "desktop = false", "desktop = true"


def on_the_desktop(stage: Stage) -> str:
    """`[notify] desktop = true` and `service install` again: what is finished is shown on her desktop, from within the sandbox."""
    jane, screen = stage.owner, "screen.service"
    stage.box.path(SCREEN).write_bytes(Path(__file__).with_name("screen.py").read_bytes())
    output = f"--property=StandardOutput=file:{jane.home / SHOWN}"
    jane.systemd_run(f"--unit={screen}", output, "/usr/bin/python3", "-I", SCREEN)
    stage.configure((OFF, ON))
    jane.types(COMMANDS[-1])
    assert "PrivateUsers=yes" in jane.systemctl("cat", jane.service).stdout, "there is no sandbox"
    try:
        stage.delivered(stage.prompt(jane.name))
        line = until(lambda: _shown(jane.path(SHOWN)), "a notification", SOON)
    finally:
        stage.configure((ON, OFF))
        jane.types(COMMANDS[-1])
        jane.systemctl("stop", screen)
    until(lambda: stage.state() == "active", "the service is active", SOON)
    told = json.loads(line)
    assert told["app"] == "astria-sync", told
    return f"{told['title']}: {told['text']}"


def _shown(file: Path) -> str:
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line for line in lines if "picture" in line), "")
