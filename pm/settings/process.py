"""What of the environment is not a setting: variables for programs that `pm` starts, and folders of other programs."""

from __future__ import annotations

import os
from pathlib import Path

from pm.settings.root import DELIMITER, PREFIX

__all__ = [
    "child_environment",
    "live_account",
    "ollama_folders",
    "setting_variables",
    "user_config_folder",
    "workspace_variable",
]


def child_environment(**added: str) -> dict[str, str]:
    """Return the environment of this process with some variables added, for a program that it starts."""
    return {**os.environ, **added}


def live_account() -> str | None:
    """Return the number of the account whose orders for real money may be sent: variable PM_LIVE_ACCOUNT."""
    return os.environ.get("PM_LIVE_ACCOUNT") or None


def setting_variables() -> list[str]:
    """Return the names of the environment variables that set a setting here, sorted."""
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and DELIMITER in name)


def user_config_folder() -> Path:
    """Return the folder of the user's configuration: `$XDG_CONFIG_HOME`, or `~/.config`."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".config"


def ollama_folders() -> list[Path]:
    """Return the folders in which Ollama keeps models, if it does: `$OLLAMA_MODELS`, the user's, the service's."""
    named = os.environ.get("OLLAMA_MODELS", "").strip()
    own = Path.home() / ".ollama" / "models"
    service = [] if os.name == "nt" else [Path("/usr/share/ollama/.ollama/models")]
    return [*([Path(named)] if named else []), own, *service]


def workspace_variable() -> str:
    """Return the folder that PM_WORKSPACE names; empty where it is not set."""
    return os.environ.get("PM_WORKSPACE", "")
