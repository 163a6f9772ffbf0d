"""What every notebook does first."""

from typing import Any

from entroscape.errors import EntroscapeError


def require(**parameters: Any) -> None:
    """Raise EntroscapeError that names every parameter which is None, as all are in a notebook run by hand."""
    missing = [name for name, value in parameters.items() if value is None]
    if missing:
        raise EntroscapeError(
            f"no value for {', '.join(missing)}: set them in the cell of parameters, or run the notebook's rule"
        )
