"""Headers that every answer carries: nothing from elsewhere runs, is framed or is guessed."""

from typing import Final

SECURITY: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'self'"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
