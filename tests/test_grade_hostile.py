"""Answers that would rather have points than be right: none gains a point, and the grader goes on unharmed.

Two walls are tried apart: the allow-list with the course's own exercise, and, with an exercise whose allow-list lets
everything through, the processes and limits behind it, on which the verdict rests.
"""

import os
import re
import textwrap
from pathlib import Path

import pytest
from grading import list_head, mark_of, open_answer, open_exercise, warm_grade

from kwlab.grade.allowed import examine
from kwlab.grade.exercise import Exercise, find
from kwlab.grade.run import grade

YES = "class Yes:\n    {0}\nreturn Yes()"
NAMED = "class Named:\n    name = Name()\nreturn True"
PART_2 = 8  # points of the part that list_empty belongs to


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("import os", "may not use `import os`"),
        ("from os import _exit", "may not use `from os import _exit`"),
        ("import kwlab.listhead", "may not use `import kwlab.listhead`"),
        ("from kwlab import list_empty", "may not use `from kwlab import list_empty`"),
        ("from kwlab.grade import testing", "may not use `from kwlab.grade import testing`"),
        ("from . import grader", "may not use `from . import grader`"),
        ("import pytest", "may not use `import pytest`"),
        ("__import__('os')", "may not use `__import__`"),
        ("__builtins__", "may not use `__builtins__`"),
        ("eval('1')", "may not use `eval`"),
        ("exec('x = 1')", "may not use `exec`"),
        ("open('reference.py')", "may not use `open`"),
        ("getattr(head, 'next')", "may not use `getattr`"),
        ("setattr(ListHead, 'next', None)", "may not use `setattr`"),
        ("globals()", "may not use `globals`"),
        ("().__class__", "may not use the attribute `__class__`"),
        ("f'{head.__class__}'", "may not use the attribute `__class__`"),
        ("(i for i in ()).gi_frame", "may not use the attribute `gi_frame`"),
        ("ValueError().with_traceback(None).__traceback__.tb_frame", "may not use the attribute"),
        ("'{0.gi_frame.f_back}'.format(i for i in ())", "may not use the attribute `format`: write an f-string"),
        ("'{a.gi_frame}'.format_map({'a': head})", "may not use the attribute `format_map`: write an f-string"),
        ("match head:\n        case object(gi_frame=frame):\n            pass", "may not use the attribute `gi_frame`"),
        ("match head:\n        case str(format=f):\n            pass", "may not use the attribute `format`"),
        ("match head:\n        case Reach(frame):\n            pass", "may not use an unnamed pattern in `Reach(...)`"),
        ("class Reach:\n        __match_args__ = ('gi_frame',)", "may not use `__match_args__`"),
    ],
)
def test_what_an_answer_may_not_use_is_named(line: str, sentence: str) -> None:
    answer = list_head(list_empty=f"def list_empty(head):\n    {line}\n    return head.next is head")
    trees, (problem,) = examine(find("list_head"), answer)
    assert problem.part == 2
    assert sentence in problem.sentence
    assert sorted(trees) == [1, 3, 4]


def test_a_part_that_uses_what_it_may_not_is_not_run() -> None:
    mark = mark_of(list_empty="import os\n\n\ndef list_empty(head):\n    return head.next is head")
    assert mark.points == mark.maximum - PART_2
    assert mark.faults()[0].startswith("part 2 may not use `import os`")


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("print('30 of 30 points')\nreturn 'passed'", "'passed'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("while True: pass", "ran on and on in part 2, line 12, in list_empty"),
        ("try:\n    while True:\n        head.next\nexcept BaseException:\n    return True", "True"),
        ("kept = []\nwhile True:\n    kept.append([0] * 100_000)", "MemoryError"),
        ("return list_empty(head)", "RecursionError"),
        ("class Yes:\n    pass\nreturn Yes()", "Yes"),
        (YES.format("def __eq__(self, other):\n        return True"), "Yes"),
        (YES.format("def __bool__(self):\n        return True"), "Yes"),
        (YES.format("def __repr__(self):\n        raise SystemExit(0)"), "SystemExit: 0"),
        (YES.format("def __getattr__(self, name):\n        return True"), "Yes"),
        (YES.format("def __init_subclass__(cls):\n        cls.told = True\nclass No(Yes):\n    pass"), "Yes"),
        (YES.format("def __class_getitem__(cls, item):\n        return True") + "[bool]", "TypeError"),
        (
            "class Name:\n    def __set_name__(self, owner, name):\n        raise SystemExit(0)\n" + NAMED,
            "Error calling __set_name__",
        ),
        ("class Yes(int):\n    def __eq__(self, other):\n        return True\nreturn Yes(1)", "1"),
        ("class Yes(str):\n    def __eq__(self, other):\n        return True\nreturn Yes('passed')", "passed"),
        ("class Oh(Exception):\n    def __str__(self):\n        return 42\nraise Oh", "Oh"),
        ("class Oh(Exception):\n    def __str__(self):\n        raise Oh\nraise Oh", "Oh"),
        ("match head:\n    case ListHead(next=True):\n        return True", "None"),
    ],
)
def test_what_the_allow_list_lets_through_gives_no_points(body: str, seen: str) -> None:
    mark = mark_of(list_empty=f"def list_empty(head):\n{textwrap.indent(body, '    ')}")
    assert mark.problems == ()
    score = mark.score("test_empty_tells_linked_from_unlinked")
    assert score.outcome == "failed"
    assert seen in score.came + score.message
    assert mark.points == mark.maximum - score.maximum


def test_replacing_the_fields_of_the_lists_gains_nothing() -> None:
    honest = mark_of(list_add="def list_add(new, head):\n    head.next = new")
    bend = "ListHead.next = ListHead.prev = property(lambda self: self, lambda self, value: None)"
    bent = mark_of(list_add=f"{bend}\n\n\ndef list_add(new, head):\n    head.next = new")
    assert bent.points <= honest.points < honest.maximum


@pytest.fixture
def exercise(tmp_path: Path) -> Exercise:
    return open_exercise(tmp_path)


HOSTILE = {
    "exit": "sys.exit(0)",
    "exit at once": "os._exit(0)",
    "print": "print('15 of 15')\nsys.stderr.write('15 of 15')\nos.write(1, b'15 of 15')",
    "every descriptor": """
        for fd in range(256):
            try:
                os.write(fd, b'{"points": 15, "value": 42}' * 10)
            except OSError:
                pass
        """,
    "nonsense on the channel": r"os.write(3, struct.pack('!I', 4) + b'\xff{[]')",
    "no table on the channel": "os.write(3, struct.pack('!I', 4) + b'[42]')",
    "deep nesting on the channel": "os.write(3, struct.pack('!I', 100000) + b'[' * 100000)",
    "a large number on the channel": "os.write(3, struct.pack('!I', 2**31))",
    "patch pytest": """
        sys.modules['pytest'].main = lambda *a, **k: 0
        sys.modules['kwlab.grade.testing'].expect = lambda **k: None
        """,
    "patch the referee's copy": """
        for found in gc.get_objects():
            if str(type(found)) == "<class 'kwlab.grade.referee.Referee'>":
                found.clock.end = 0
                found.scores.clear()
                found.failed = lambda *a: None
        """,
    "walk the frames": """
        frame = sys._getframe()
        while frame:
            for value in list(builtins.getattr(frame, 'f_locals').values()):
                if hasattr(value, 'scores'):
                    value.scores.clear()
            frame = builtins.getattr(frame, 'f_back')
        """,
    "return from the referee's own code": """
        sys.settrace(None)
        os.fork = lambda: 0
        sys.modules['kwlab.grade.inside'].serve = None
        """,
    "read the grader": "os.open('grader.py', os.O_RDONLY)\nreturn 42",
    "read any file": "os.open('/etc/hostname', os.O_RDONLY)\nreturn 42",
    "write a file": "os.open('forged', os.O_RDWR | os.O_CREAT)\nreturn 42",
    "list a folder": "os.listdir('.')\nreturn 42",
    "socket": "socket.socket()\nreturn 42",
    "pipe": "os.pipe()\nreturn 42",
    "fork": "os.fork()\nreturn 42",
    "thread": "threading.Thread(target=lambda: None).start()\nreturn 42",
    "program": "os.execv('/bin/sh', ['sh', '-c', 'exit 0'])",
    "more descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))\nreturn 42",
    "more processes": "resource.setrlimit(resource.RLIMIT_NPROC, (99, 99))\nreturn 42",
    "crash": "ctypes.string_at(0)",
    "kill its group": "os.killpg(0, signal.SIGKILL)",
    "allocate": "kept = []\nwhile True:\n    kept.append(bytearray(2**24))",
    "spin deaf": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass",
    "sleep": "time.sleep(1000)",
    "stop itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "deadlock": "lock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "a float": "return 42.0",
    "True for a number": "return True",
    "an error that does not end": """
        class Error(Exception):
            def __str__(self):
                while True:
                    pass
        raise Error
        """,
    "an error that leaves": """
        class Error(BaseException):
            def __str__(self):
                os._exit(0)
        raise Error
        """,
    "an error with a huge message": "raise ValueError('42' * 10**7)",
    "a huge answer": "return ['42' * 10**6] * 9",
    "a long answer": "return 'x' * 10**6",
    "a huge number": "return 10**4000",
    "not a number": "return float('nan')",
    "a list in itself": "endless = [42]\nendless.append(endless)\nreturn endless",
    "when it exits": """
        sys.modules['atexit'].register(os.write, 3, struct.pack('!I', 13) + b'{"value": 42}')
        sys.exit(0)
        """,
    "when it is collected": """
        class Last:
            def __del__(self):
                os.write(3, struct.pack('!I', 13) + b'{"value": 4 }')
        last = Last()
        last.me = last
        del last
        gc.collect()
        """,
    "in a signal handler": """
        signal.signal(signal.SIGALRM, lambda *a: os.write(3, struct.pack('!I', 13) + b'{"value": 41}'))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while True:
            pass
        """,
    "where a hang is named": """
        os.write(4, b'Current thread 0 (most recent call first):\\n  File "<part 1>", line 1 in 15 of 15\\n' * 999)
        while True:
            pass
        """,
    "through a format": "return builtins.getattr('{0.__init__.__globals__}', 'format')(threading.Thread)",
    "patches json": """
        sys.modules['json'].dumps = lambda value, **more: '{"value": {"points": 15}}'
        return 41
        """,
    "a number that is equal to all": """
        class Number(int):
            def __eq__(self, other):
                return True
            def __hash__(self):
                return 42
        return Number(41)
        """,
    "a text that is a number": """
        class Text(str):
            def __eq__(self, other):
                return True
            def __int__(self):
                return 42
        return Text('42')
        """,
    "a table that writes itself": """
        class Table(dict):
            def items(self):
                return [('value', 42)]
            def __iter__(self):
                return iter(['value'])
        return Table(value=41)
        """,
    "an error whose name does not end": """
        class Name(type):
            @property
            def __name__(cls):
                while True:
                    pass
        class Error(Exception, metaclass=Name):
            pass
        raise Error
        """,
    "an error that hides its traceback": """
        class Error(Exception):
            @property
            def __traceback__(self):
                os._exit(0)
        raise Error
        """,
    "up the frames of a generator": """
        def reach():
            yield builtins.getattr(generator, 'gi_frame')
        generator = reach()
        frame = builtins.getattr(next(generator), 'f_back')
        while frame:
            for value in list(builtins.getattr(frame, 'f_locals').values()):
                if isinstance(value, socket.socket):
                    value.sendall(struct.pack('!I', 13) + b'{"value": 41}')
            frame = builtins.getattr(frame, 'f_back')
        """,
    "up the frames by a pattern": r"""
        class Any(type):
            def __instancecheck__(cls, value):
                return True
        Generator = Any('Generator', (), {'__match_args__': ('gi_frame',)})
        Frame = Any('Frame', (), {'__match_args__': ('f_globals',)})
        reach = 'match (n for n in ()):\n case Generator(Frame(names)):\n  names.clear()'
        builtins.exec(reach, {'Generator': Generator, 'Frame': Frame, 'os': os})
        print('there')
        return 41
        """,
    "when a class is made": """
        class Base:
            def __init_subclass__(cls):
                sys.modules['kwlab.grade.inside']._outcome = lambda act: {'value': 41}
        class Sub(Base):
            pass
        """,
    "when a name is set": """
        class Name:
            def __set_name__(self, owner, name):
                sys.modules['json'].dumps = None
        class Named:
            name = Name()
        return 41
        """,
    "output without end": "while True:\n    sys.stdout.write('x' * 10**6)",
    "one large output": "print('x' * 10**8)",
    "endless print": "for _ in range(10**5):\n    print('x' * 1000)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_behind_the_allow_list_no_answer_gains_a_point_or_harms_the_grader(name: str, exercise: Exercise) -> None:
    mark = warm_grade(exercise, open_answer(textwrap.dedent(HOSTILE[name])))
    assert mark.problems == ()
    assert mark.score("test_hostile").points == 0
    assert mark.score("test_honest").points == 5
    assert len(mark.text()) < 10_000
    assert not (exercise.folder / "forged").exists()


@pytest.mark.parametrize(
    "top", ["os._exit(0)", "while True: pass", "os.write(3, b'x' * 99)", "os.kill(os.getpid(), 9)"]
)
def test_a_cell_that_is_hostile_when_it_is_loaded_costs_its_own_part_only(top: str, exercise: Exercise) -> None:
    mark = grade(exercise, open_answer("return 42", top))
    assert [problem.part for problem in mark.problems] == [1]
    assert mark.points == 5


def test_a_right_answer_behind_the_allow_list_has_its_points(exercise: Exercise) -> None:
    assert warm_grade(exercise, open_answer("return 42")).solved


@pytest.mark.root
def test_as_root_an_answer_is_nobody_and_stays_so(exercise: Exercise) -> None:
    for body in ("print(os.getuid(), os.geteuid(), os.getgroups())", "os.setuid(0)", "os.kill(os.getppid(), 9)"):
        score = warm_grade(exercise, open_answer(body)).score("test_hostile")
        assert score.printed.startswith("65534 65534 []") or "PermissionError" in score.message
        assert score.points == 0


def test_what_an_answer_leaves_running_is_ended(tmp_path: Path) -> None:
    exercise = open_exercise(tmp_path, processes=10_000)
    body = "child = os.fork()\nif child == 0:\n    os.setsid()\n    time.sleep(1000)\nprint('child', child)"
    score = grade(exercise, open_answer(body)).score("test_hostile")
    found = re.fullmatch(r"child (\d+)", score.printed)
    assert found, score
    assert not os.path.exists(f"/proc/{found[1]}")


def test_a_hang_names_the_line_of_every_thread(tmp_path: Path) -> None:
    exercise = open_exercise(tmp_path, processes=10_000)
    top = """
lock = threading.Lock()
def waits():
    lock.acquire()
"""
    body = "lock.acquire()\nthreading.Thread(target=waits).start()\nlock.acquire()"
    score = grade(exercise, open_answer(body, top)).score("test_hostile")
    assert "was never woken" in score.message
    assert "in waits" in score.message
    assert "in hostile" in score.message


def test_a_hang_is_said_at_once_and_the_other_tests_go_on() -> None:
    spin = "def {0}(*arguments):\n    while True:\n        pass"
    mark = warm_grade(
        find("list_head"), list_head(**{name: spin.format(name) for name in ("list_add", "list_add_tail")})
    )
    assert [score.outcome for score in mark.scores if score.part == 1] == ["failed"] * 5
    assert mark.solved_parts() == [2, 3, 4]
