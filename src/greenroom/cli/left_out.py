"""Parts of Greenroom that an installation may lack."""

from __future__ import annotations

from greenroom.errors import Failed


def left_out(command: str, error: ImportError, extra: str = "demo") -> Failed:
    """Return why a command is not available in this installation."""
    if (error.name or "").startswith("greenroom"):
        return Failed(
            f"This image is for clusters and does not contain {command}. Run the command from a clone of Greenroom."
        )
    return Failed(
        f"{command} needs the extra `{extra}` ({error.name} is missing): pip install 'PATH/OF/THE/CLONE[{extra}]'."
    )
