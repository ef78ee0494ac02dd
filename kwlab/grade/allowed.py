"""Read an answer before it runs: does it parse, is every function there, does it use only what it may?

This gives a learner a clear sentence in place of a traceback, and turns away what plainly is no answer. The verdict
does not rest on it: what gets past this list runs in a box (`limits`) and is judged from outside (`referee`).
"""

import ast
import builtins
import difflib
import re
from types import CodeType

from kwlab.grade.answer import Answer, marker
from kwlab.grade.exercise import Exercise, Part
from kwlab.grade.mark import Problem

__all__ = ["BUILTINS", "compiled", "examine", "filename", "forgets_return"]

MAX_CHARACTERS = 100_000

# What an answer may call of Python itself: nothing that reads files, runs text, or finds its way by names.
BUILTINS = frozenset(
    """abs all any bool bytearray bytes callable chr classmethod dict divmod enumerate filter float format frozenset
    hasattr hash hex id int isinstance issubclass iter len list map max min next object ord pow print property range
    repr reversed round set slice sorted staticmethod str sum super tuple type zip
    Ellipsis False None NotImplemented True""".split()
) | {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)}

# Attributes by which Python objects lead out of an answer: frames, code, tracebacks; and texts that name attributes.
_LEADS_OUT = re.compile(r"__\w+|(?:gi|cr|ag)_(?:frame|code|yieldfrom|await)|f_\w+|tb_\w+|co_\w+|mro|format(?:_map)?")

# A learner checks the answer in its own cell, and that is no part of it.
_ASIDES = {"check", "hint", "reset", "solution", "status"}


def filename(part: int) -> str:
    """What tracebacks call the cell of this part."""
    return f"<part {part}>"


def examine(exercise: Exercise, answer: Answer) -> tuple[dict[int, ast.Module], list[Problem]]:
    """The parts that may run, parsed, and at most one problem for each of the others."""
    trees: dict[int, ast.Module] = {}
    problems = []
    for part in exercise.parts:
        tree, trouble = _parsed(exercise, part, answer.parts.get(part.number))
        if tree is not None and not trouble:
            trouble = _not_allowed(exercise, part, tree)
        if tree is not None and not trouble:
            trouble = _missing(exercise, part, tree)
        if trouble:
            absent = part.number not in answer.parts
            problems.append(Problem(part.number, f"part {part.number} {trouble}", absent))
        elif tree is not None:
            trees[part.number] = tree
    return trees, problems


def compiled(part: int, tree: ast.Module) -> CodeType:
    """The code of an examined part."""
    return compile(tree, filename(part), "exec", dont_inherit=True)


def forgets_return(trees: dict[int, ast.Module], function: str) -> bool:
    """True if the last definition of `function` can only ever return None: no ``return`` with a value, no yield."""
    definitions = [
        node
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    if not definitions:
        return False
    own, waiting = [], list(definitions[-1].body)
    while waiting:
        node: ast.AST = waiting.pop()
        own.append(node)
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)  # type: ignore[arg-type]
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in own)
    return not returns and not any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own)


def _parsed(exercise: Exercise, part: Part, source: str | None) -> tuple[ast.Module | None, str]:
    if source is None:
        return None, f'has no cell: its first line is "{marker(exercise.id, part.number)}"'
    if len(source) > MAX_CHARACTERS:
        return None, f"is {len(source)} characters long; an answer may have {MAX_CHARACTERS}"
    try:
        tree = ast.parse(source, filename(part.number))
    except SyntaxError as error:
        line = (error.text or "").strip()
        if line.startswith(("%", "!", "?")) or line.endswith("?"):
            return None, f"has a command for the notebook in line {error.lineno}, `{line}`: take it out of this cell"
        return None, f"does not parse: line {error.lineno}: {error.msg}: `{line}`"
    except (ValueError, RecursionError, MemoryError) as error:
        return None, f"does not parse: {error or type(error).__name__}"
    tree.body = [node for node in tree.body if not _is_aside(node)]
    return tree, ""


def _is_aside(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _ASIDES


def _not_allowed(exercise: Exercise, part: Part, tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if what := _forbidden(exercise, node):
            return f"may not use {what} (line {getattr(node, 'lineno', '?')})"
    return ""


def _forbidden(exercise: Exercise, node: ast.AST) -> str:
    match node:
        case ast.Import(names=names):
            for alias in names:
                if alias.name not in exercise.imports:
                    return f"`import {alias.name}`: {_may_import(exercise)}"
        case ast.ImportFrom(module=module, names=names):
            allowed = {"kwlab": exercise.given, **exercise.imports}.get(module or "", ())
            for alias in names:
                if node.level or (alias.name not in allowed and "*" not in allowed):
                    return f"`from {'.' * node.level}{module or ''} import {alias.name}`: {_may_import(exercise)}"
        case ast.Attribute(attr=name) if _LEADS_OUT.fullmatch(name):
            return _attribute(name)
        case ast.MatchClass(cls=kind, patterns=unnamed, kwd_attrs=names):
            if leads_out := [name for name in names if _LEADS_OUT.fullmatch(name)]:
                return _attribute(leads_out[0])
            if unnamed:  # which attributes they are is for the class to say
                return f"an unnamed pattern in `{ast.unparse(kind)}(...)`: say which attribute is meant"
        case ast.Name(id=name) if name not in exercise.given and name not in exercise.helpers:
            if name.startswith("__") or (name in vars(builtins) and name not in BUILTINS):
                return f"`{name}`"
        case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
            return "`async` or `await`"
    return ""


def _attribute(name: str) -> str:
    return f"the attribute `{name}`" + (": write an f-string" if name.startswith("format") else "")


def _may_import(exercise: Exercise) -> str:
    modules = [f"{module} ({', '.join(names)})" for module, names in exercise.imports.items()]
    given = f"from kwlab an answer has {', '.join(exercise.given)}, which need no import"
    return f"{given}; it may import {'; '.join(modules) or 'nothing else'}"


def _missing(exercise: Exercise, part: Part, tree: ast.Module) -> str:
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    defined |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    top = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    top |= {target.id for node in tree.body for target in _targets(node)}
    for name in part.functions:
        if name in top:
            continue
        if name in defined:
            return f"defines `{name}` only inside something else: move it to the left margin"
        close = difflib.get_close_matches(name, top, n=1)
        guess = f" (there is `{close[0]}`: is that it?)" if close else ""
        return f'has no function `{name}`{guess}; `reset("{exercise.id}")` gives the cell back as it was'
    return ""


def _targets(node: ast.stmt) -> list[ast.Name]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target for target in targets if isinstance(target, ast.Name)]
