"""The commands in a shell text, each as its words: enough of a shell to find every `gcloud ...` in
a script or a guide, also within $(...), with sample values for what only a run would know."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SAMPLE = "sample"
_RESERVED = re.compile(r"(if|then|elif|else|while|until|do|time|exec|!|\{|[A-Za-z_]\w*\+?=.*)$")
_VARIABLE = re.compile(r"\$(\w+|[@*#?!$-]|\{[^{}]*(\{[^{}]*\}[^{}]*)*\})")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_ALL = re.compile(r"\$[@*]|\$\{\w+\[[@*]\]\}")


@dataclass(slots=True)
class _Reader:
    """Reads a text from left to right, to an unquoted `closing` or the end; a text within it, like
    that of $(...), is read by a reader of its own."""

    text: str
    at: int = 0
    closing: str = ""
    found: list[list[str]] = field(default_factory=list)

    def read(self) -> list[list[str]]:
        """The commands, those within others first."""
        words: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != self.closing:
            self._step(words)
        self._end(words)
        return self.found

    def _step(self, words: list[str]) -> None:
        rest = self.text[self.at :]
        if heredoc := _HEREDOC.match(rest):
            end = re.search(rf"^\s*{heredoc[2]}$", rest, re.MULTILINE)
            line = rest.find("\n")
            body = (line, end.end()) if end and line >= 0 else (len(rest), len(rest))
            self.text = self.text[: self.at] + rest[heredoc.end() : body[0]] + rest[body[1] :]
        elif rest.startswith("\\\n") or rest[0] in " \t":
            self.at += 2 if rest[0] == "\\" else 1
        elif rest[0] == "#":
            self.at += len(rest.partition("\n")[0])
        elif redirected := re.match(r"\d?(<<<|[<>]&\d|>>|[<>](?!\())[ \t]*", rest):
            self.at += redirected.end()
            if "&" not in redirected[1]:
                self._word()
        elif rest[0] in "\n;|&()":
            self.at += 1
            self._end(words)
            words.clear()
        elif (word := self._word()) is not None:
            words.append(word)

    def _word(self) -> str | None:
        """One word; None for one that stands for any number of words."""
        start, word, quote = self.at, "", ""
        while self.at < len(self.text):
            rest = self.text[self.at :]
            if not quote and (rest[0] in f" \t\n;|&(){self.closing}" or rest[:2] == "\\\n"):
                break
            if rest[0] == quote or (not quote and rest[0] in "'\""):
                quote = "" if quote else rest[0]
                self.at += 1
            elif quote != "'" and re.match(r"[$<>]\(", rest):
                word += self._within(2, ")")
            elif quote != "'" and rest[0] == "`":
                word += self._within(1, "`")
            elif quote != "'" and (variable := _VARIABLE.match(rest)):
                word += SAMPLE
                self.at += variable.end()
            elif quote != "'" and rest[0] == "\\" and len(rest) > 1:
                word += rest[1]
                self.at += 2
            else:
                word += rest[0]
                self.at += 1
        return None if _ALL.fullmatch(self.text[start : self.at].strip('"')) else word

    def _within(self, opening: int, closing: str) -> str:
        inner = _Reader(self.text, self.at + opening, closing)
        self.found += inner.read()
        self.at = inner.at + 1
        return SAMPLE

    def _end(self, words: list[str]) -> None:
        rest = list(words)
        while rest and _RESERVED.match(rest[0]):
            del rest[0]
        if rest:
            self.found.append(rest)


def commands(text: str) -> list[list[str]]:
    """Every command of a shell text."""
    return _Reader(text).read()


def code_of(markdown: str) -> Iterator[str]:
    """The blocks of code of a guide, fenced or indented, without prompts."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        yield re.sub(r"^\$ ", "", block, flags=re.MULTILINE)
    outside = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^(?: {4}|\t).*\n)+", outside, re.MULTILINE):
        yield re.sub(r"^(?: {4}|\t)(?:\$ )?", "", block, flags=re.MULTILINE)
