"""The reader that finds the commands of scripts and guides."""

import pytest
from shell_words import code_of, commands


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gcloud a --b='c d'", [["gcloud", "a", "--b=c d"]]),
        ("gcloud a \\\n  --b # why\ngcloud c", [["gcloud", "a", "--b"], ["gcloud", "c"]]),
        ("A=1 B=$C gcloud a", [["gcloud", "a"]]),
        ("if ! gcloud a; then gcloud b; fi", [["gcloud", "a"], ["gcloud", "b"], ["fi"]]),
        ("gcloud a | gcloud b && gcloud c", [["gcloud", "a"], ["gcloud", "b"], ["gcloud", "c"]]),
        ('x="$(gcloud a "$b")"', [["gcloud", "a", "sample"]]),
        ("gcloud a `gcloud b`", [["gcloud", "b"], ["gcloud", "a", "sample"]]),
        ("read x < <(gcloud a)", [["gcloud", "a"], ["read", "x"]]),
        ('gcloud a "${here[@]}" "$@" b', [["gcloud", "a", "b"]]),
        ("gcloud a --b=${c:-$d}-e", [["gcloud", "a", "--b=sample-e"]]),
        ("gcloud a '$b $(c)'", [["gcloud", "a", "$b $(c)"]]),
        ("gcloud a >out 2>&1\ngcloud b <<<c", [["gcloud", "a"], ["gcloud", "b"]]),
        ("cat >f <<'E'\ngcloud no\nE\ngcloud a", [["cat"], ["gcloud", "a"]]),
        ("f() {\n  gcloud a\n}", [["f"], ["gcloud", "a"], ["}"]]),
    ],
)
def test_the_commands_of_a_text(text: str, found: list[list[str]]) -> None:
    assert commands(text) == found


def test_the_code_of_a_guide_is_fenced_or_indented() -> None:
    guide = "Text `gcloud no`.\n\n```sh\n$ gcloud a\n```\n\n    gcloud b\n\nMore.\n"
    assert "".join(code_of(guide)).splitlines() == ["gcloud a", "gcloud b"]
