r"""A reader of equations in the plain notation of docstrings.

    v_pi(s)  =  sum_a pi(a | s) q(s, a)      the mean over actions

has three parts, `v_{\pi}(s)`, `=` and `\sum_{a} \pi(a \mid s)\,q(s, a)`, and a fourth
of words. Whatever is not in the notation is refused.
"""

import re

from notebooks.site.notation import (
    BRACKETS,
    CLOSING,
    END,
    FUNCTIONS,
    GREEK,
    MINUS,
    OVER,
    RELATIONS,
    SLASH,
    VERBS,
    Factor,
    Part,
    RefusedError,
    Token,
    letter,
    product,
    row_of,
    signs,
)


class Reader:
    """Reads the signs of one line, from left to right."""

    def __init__(self, line: str) -> None:
        """Cut the line into signs."""
        self.tokens = signs(line)
        self.at = 0
        self.opened: list[str] = []  # the brackets that are to be closed
        self.flat = 0  # above 0 in powers and exponents, which have no fractions

    def row(self) -> list[Part]:
        """Return the parts of the whole line."""
        parts = self._parts("")
        if self.now().text == "." and self.now(1) is END and parts:
            parts[-1] = parts[-1]._replace(latex=parts[-1].latex + self._take(".").text)
        if self.now() is not END or not parts or parts[-1].relation:
            raise RefusedError(self.now().text)
        return parts

    def now(self, ahead: int = 0) -> Token:
        """Return the next sign, or one further on."""
        at = self.at + ahead
        return self.tokens[at] if 0 <= at < len(self.tokens) else END

    def _take(self, *texts: str) -> Token:
        token = self.now()
        if token is END or (texts and token.text not in texts):
            raise RefusedError(token.text)
        self.at += 1
        return token

    def _parts(self, close: str) -> list[Part]:
        """Return what stands before a closing bracket, or before the end."""
        found: list[Part] = []
        while (token := self.now()) is not END and token.text != close:
            if token.text in (",", ";", ":"):
                self._punctuate(found, close)
            elif found and token.text == "." and self.now(1) is END:
                break
            elif self._is_relation(token, close):
                found.append(self._relation(token))
                if sum(part.latex == RELATIONS["|"] for part in found) > 1:
                    raise RefusedError("|")  # bars of a size among conditions
            else:
                found.append(self._total(token))
        return found

    def _punctuate(self, found: list[Part], close: str) -> None:
        token = self._take()
        script = close == "}"
        after = script or self.now().gap or self.now().kind in ("dots", "end")
        if not found or found[-1].relation or found[-1].latex[-1] in ",;:" or not after:
            raise RefusedError(token.text)
        sign = r"\text{:}" if token.text == ":" and not script else token.text
        found[-1] = found[-1]._replace(latex=found[-1].latex + sign)

    def _is_relation(self, token: Token, close: str) -> bool:
        if token.text == "in":
            return close == "}"
        if token.text == "|":
            before = self.now(-1)
            opens = before.kind == "relation" or before.text in tuple("([{,;<>|")
            return close in (")", "]", "}") and not opens
        if token.text == "<":
            return self.now(1).gap > 0
        return token.kind == "relation" or token.text in (">", "||")

    def _relation(self, token: Token) -> Part:
        loose = token.gap and self.now(1).gap
        if token.text not in RELATIONS or not (loose or token.text in ("|", "||")):
            raise RefusedError(token.text)
        self._take()
        return Part(RELATIONS[token.text], token.column, token.gap, relation=True)

    def _total(self, first: Token) -> Part:
        """Return a sum of terms."""
        latex, words = "", False
        while True:
            sign = self._take().text if self.now().text in ("+", "-") else ""
            factors = self._factors()
            term = product(factors, flat=self.flat > 0)
            words |= any(factor.kind == "word" for factor in factors)
            latex += sign if latex else sign.replace("-", MINUS)
            latex += term
            more = self.now()
            fresh = factors[-1].kind == "word" and more.gap > 1
            if more.text not in ("+", "-") or fresh:
                return Part(latex, first.column, first.gap, words=words)

    def _factors(self) -> list[Factor]:
        """Return the factors of a term, and the signs between them."""
        factors: list[Factor] = []
        while self._is_factor(bool(factors)):
            operator = factors and factors[-1].kind in ("operator", "slash")
            if factors and self.now().gap > 1 and not operator:
                break
            factors.append(self._factor())
            token = self.now()
            if token.text in ("/", "*", ".") and token.gap and self.now(1).gap:
                if self.now(1) is END:
                    raise RefusedError(token.text)
                self._take()
                dot = Factor(r"\cdot ", "operator")
                factors.append(SLASH if token.text == "/" else dot)
        if not factors or factors[-1].kind == "slash" or factors[-1].latex == r"\cdot ":
            raise RefusedError(self.now().text)
        return factors

    def _is_factor(self, follows: bool) -> bool:
        """Whether the next sign begins a factor; `follows`: behind another one."""
        token = self.now()
        if token.text == "in" and self.opened[-1:] == ["}"]:
            return False
        if token.text == "|":
            return not follows or not self.opened
        if token.text in ("<", "."):
            return not follows and (token.text == "<" or bool(self.opened))
        return token.kind in ("number", "name", "dots") or token.text in ("(", "[")

    def _factor(self) -> Factor:
        token = self._take()
        if token.kind == "name":
            made = self._name(token)
        elif token.kind == "sign" and token.text != ".":
            made = self._group(token.text)
        else:
            latex = {"dots": r"\dots ", "sign": r"{\cdot}"}.get(token.kind, token.text)
            made = Factor(latex, simple=True)
        if re.fullmatch(r"\\tfrac\{\w\}\{\w\}", made.inside) and self.now().gap:
            return Factor(made.inside)  # (1/n)
        made = self._scripted(made)
        if self.now().text == "/" and not self.now().gap + self.now(1).gap:
            self._take()
            below = self._factor()
            if "word" in (made.kind, below.kind):
                raise RefusedError("/")
            return Factor(rf"\tfrac{{{made.latex}}}{{{below.latex}}}")
        return made

    def _group(self, opening: str) -> Factor:
        close = CLOSING[opening]
        self.opened.append(close)
        parts = self._parts(close)
        inside = row_of(parts)
        self._take(self.opened.pop())
        before, after = BRACKETS[opening]
        round_ = opening in "(["
        if round_ and (r"\frac" in inside or r"\limits" in inside):
            tall = r"\bigg" if r"\frac" in inside else r"\Big"
            before, after = tall + before, tall + after
        bare = inside if round_ and len(parts) == 1 else ""
        return Factor(before + inside + after, inside=bare)

    def _name(self, token: Token) -> Factor:
        """Return a name with its scripts and its arguments."""
        text, after = token.text, self.now()
        called = after.text == "(" and not after.gap
        if text in OVER and not called and not self._is_prose(token):
            return self._operator(text)
        if called and text == "sqrt":
            inside = self._group(self._take().text).inside
            if not inside:
                raise RefusedError(text)
            return Factor(rf"\sqrt{{{inside}}}")
        if after.text == "{" and text == "Pr":
            return Factor(r"\Pr" + self._group(self._take().text).latex)
        if text in FUNCTIONS and not called:
            return Factor(FUNCTIONS[text], "operator")
        if text == "E" and not after.gap and after.text[:1] in ("_", "["):
            made = self._scripted(Factor(r"\mathbb{E}", simple=True))
        else:
            made = self._scripted(self._symbol(token))
        after = self.now()
        if after.gap or after.text not in ("(", "["):
            return made
        if after.text == "[" and r"\mathbb" not in made.latex:
            raise RefusedError("[")
        self.flat += text == "exp"
        made = Factor(made.latex + self._group(self._take().text).latex)
        self.flat -= text == "exp"
        return made

    def _symbol(self, token: Token) -> Factor:
        text, after = token.text, self.now()
        article = text == "a" and self._is_word(after) and after.gap == 1
        single = after.kind == "name" and len(after.text) == 1
        if text == "a" and single and self._is_word(self.now(-2)):
            raise RefusedError(text)  # "a Q" in a sentence?
        if text in FUNCTIONS:
            return Factor(FUNCTIONS[text])
        if text in GREEK or (len(text) == 1 and text.isalpha() and not article):
            return Factor(letter(text), simple=True)
        if len(text) == 2 and text[1].isdigit():
            return Factor(f"{text[0]}_{{{text[1]}}}", simple=True)
        if text in ("dJ", "dh"):
            return Factor(text, simple=True)
        if re.search("[a-z][A-Z]", text) or (text == "for" and self.opened):
            raise RefusedError(text)  # of a program
        if "@" in text:
            return Factor(rf"\text{{{text[:-1]}}}{text[-1]}", simple=True)
        return Factor(rf"\text{{{text.replace('&', 'and')}}}", "word")

    def _is_word(self, token: Token) -> bool:
        """Whether a sign is a word of a sentence."""
        known = {*GREEK, *FUNCTIONS, *OVER, *VERBS}
        return token.kind == "name" and len(token.text) > 2 and token.text not in known

    def _is_prose(self, token: Token) -> bool:
        """Whether a word such as "sum" is followed by words, as in "the sum of"."""
        after, called = self.now(), self.now(1).text == "(" and not self.now(1).gap
        before = self.now(-2).text if self.at > 1 else ""
        return before == "the" or (self._is_word(after) and not called)

    def _operator(self, text: str) -> Factor:
        if text in ("sum", "prod"):
            return Factor(self._scripted(Factor(OVER[text])).latex, "operator")
        below = self._scripted(Factor("")).latex
        if not below:
            return Factor(OVER[text] + " ", "operator")
        if not below.startswith("_"):
            raise RefusedError(text)
        return Factor(rf"\underset{below[1:]}{{{OVER[text]}}}", "operator")

    def _scripted(self, made: Factor) -> Factor:
        """Return a name or group with its subscript, power, primes or star."""
        base, sub, sup, primes = made.latex, "", "", ""
        if numbered := re.fullmatch(r"([a-z])_\{(\d)\}", base):
            base, sub = numbered.groups()
        while self.now().kind in ("sub", "sup", "star", "prime") and not self.now().gap:
            token = self._take()
            script = self._script(token)
            if token.kind == "sub" and made.kind == "word" and r"\text" in script:
                raise RefusedError(token.text)  # a name of a program
            if token.kind == "sub":
                if sub and not numbered:
                    raise RefusedError(token.text)
                sub += "," * bool(sub) + script
            elif token.kind == "prime":
                primes += script
            else:
                if sup:
                    raise RefusedError(token.text)
                sup = script
        latex = base + primes
        latex += f"_{{{sub}}}" if sub else ""
        latex += f"^{{{sup}}}" if sup else ""
        return made if latex == made.latex else made._replace(latex=latex, inside="")

    def _script(self, token: Token) -> str:
        """Return what stands in a subscript or power."""
        text = token.text[1:] if token.kind in ("sub", "sup") else token.text
        if text:
            pieces = re.findall(r"[A-Za-z]+|\d+|\W", text)
            return "".join(map(letter, pieces))
        opening = self._take("{", "(").text
        self.opened.append("}")
        self.flat += 1
        inside = row_of(self._parts(CLOSING[opening]))
        self.flat -= 1
        self.opened.pop()
        self._take(CLOSING[opening])
        return f"({inside})" if opening == "(" and token.kind == "sub" else inside
