"""Whether two LaTeX results are equal (math-verify), found out in a process of its own.

On a hostile answer (`9^{9^{9^9}}`) sympy computes for ever or fills the memory, and math-verify's own time limit needs
the main thread and does not interrupt compiled code. The helper process has limits that the kernel keeps; an answer
that kills it is not equal to anything.
"""

import importlib.util
import json
import signal
import subprocess
import sys
import threading
from typing import Any

SECONDS = 10  # of CPU time for one answer
MEMORY = 4 << 30  # bytes of address space

_lock = threading.Lock()
_helper: "subprocess.Popen[str] | None" = None


def equal(expected: str, answer: str) -> bool:
    """Whether `answer` equals `expected`, both LaTeX without dollar signs."""
    global _helper
    with _lock:
        if _helper is None:
            if importlib.util.find_spec("math_verify") is None:
                from ascl.errors import InputError

                raise InputError("LaTeX answers are graded by math-verify: pip install 'ascl[train]'")
            _helper = subprocess.Popen(
                [sys.executable, "-P", __file__],  # -P: this file's neighbours must not shadow other modules
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert _helper.stdin is not None and _helper.stdout is not None
        try:
            _helper.stdin.write(json.dumps([SECONDS, expected, answer]) + "\n")
            _helper.stdin.flush()
            reply = _helper.stdout.readline()
        except OSError:  # the helper has died
            reply = ""
        if not reply:
            _helper.kill()
            _helper.communicate()
            _helper = None
        return bool(reply) and bool(json.loads(reply))


def _serve() -> None:
    """Answer the questions on standard input, one a line, until it closes."""
    import resource

    from math_verify import LatexExtractionConfig, grader, parse, verify
    from math_verify.parser import NormalizationConfig

    grader.sympy_numeric_eq = _same_number
    form = [LatexExtractionConfig(normalization_config=NormalizationConfig(True, False, True, True, "none"))]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        seconds, *sides = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # without a handler the timer ends the process
        gold, found = (
            parse(f"${side}$", extraction_config=form, fallback_mode="no_fallback", parsing_timeout=None)
            for side in sides
        )
        equal = bool(gold and found and verify(gold, found, timeout_seconds=None))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(equal), flush=True)


def _same_number(gold: Any, found: Any, *_digits: int) -> bool:
    """Whether two numbers are equal, in place of math-verify's comparison, which rounds to six decimals.

    Exact numbers and decimals that end must be equal. A decimal that stands for a number without an end (1/3, the root
    of 2) may be off by one millionth of it. A percentage is equal to its number with and without the sign.
    """
    import sympy

    if isinstance(gold, sympy.MatrixBase) and isinstance(found, sympy.MatrixBase):
        return gold.shape == found.shape and all(map(_same_number, gold.flat(), found.flat()))
    if getattr(gold, "free_symbols", True) or getattr(found, "free_symbols", True):
        return False
    percent = sympy.UnevaluatedExpr(sympy.Rational(1, 100))
    if sum(side.has(percent) for side in (gold, found)) == 1:
        plain = [side.xreplace({percent: sympy.S.One}) for side in (gold, found)]
        if _same_number(*plain):
            return True
    a, b = (_exact(side.doit()) for side in (gold, found))
    if a == b:
        return True
    if a.is_Rational and b.is_Rational:
        ends = sympy.Rational(a).q
        for factor in (2, 5):
            while ends % factor == 0:
                ends //= factor
        if ends == 1 or not found.has(sympy.Float):
            return False
    near = 1.000001e-6 if gold.has(sympy.Float) or found.has(sympy.Float) else 1e-40
    x, y = a.evalf(60), b.evalf(60)
    return bool(abs(x - y) <= near * max(abs(x), abs(y)))


def _exact(number: Any) -> Any:
    """The expression with its decimals as exact fractions."""
    import sympy

    return number.xreplace({decimal: sympy.Rational(str(decimal)) for decimal in number.atoms(sympy.Float)})


if __name__ == "__main__":
    _serve()
