"""What other programs of this machine say, for those that may not be here."""

import subprocess


def said(*command: str, seconds: float = 10.0) -> str:
    """What a command prints; "" where there is none, or it takes longer than `seconds`.

    Its exit status is not looked at: that of `quota` is 1 where somebody is over the limit.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
