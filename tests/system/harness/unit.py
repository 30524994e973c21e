# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Run the tests of one class on one road, against one daemon, in a process of the runner's."""

import contextlib
import dataclasses
import importlib
import os
import signal
import time
import traceback
import unittest

from . import run, wire
from .daemon import Daemon
from .network import LOOPBACK, Namespaces
from .suite import ROAD_OPTIONS


@dataclasses.dataclass
class Unit:
    """What one process does in one go."""

    module: str
    klass: str
    road: str
    tests: list
    reference: bool
    path: str


@dataclasses.dataclass
class Result:
    """One test on one road."""

    test: str
    road: str
    status: str  # PASS, FAIL or SKIP
    seconds: float = 0.0
    message: str = ""
    record: dict = None


class Limit(Exception):
    """The test took too long."""


class _Outcome(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.status, self.message = "PASS", ""

    def _fail(self, error, part=""):
        # The first story is told, of others the name and how they end.
        if self.status == "FAIL":
            self.message += f"also {part or 'failed'}: {str(error[1])[:6000]}\n"
        else:
            self.message = f"{part}\n{_story(error[1])}".lstrip()
        self.status = "FAIL"

    def addError(self, test, err):
        self._fail(err)

    def addFailure(self, test, err):
        self._fail(err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._fail(err, subtest._subDescription())

    def addSkip(self, test, reason):
        self.status, self.message = "SKIP", reason


def _story(error):
    """The traceback without unittest's own frames."""
    story = traceback.TracebackException.from_exception(error)
    story.stack = traceback.StackSummary.from_list([f for f in story.stack if "/unittest/" not in f.filename])
    return "".join(story.format())


def execute(unit):
    """Run a unit; returns its Results. Never raises."""
    klass = getattr(importlib.import_module(unit.module), unit.klass)
    klass.road, klass.reference, klass.daemon_path, klass.network = unit.road, unit.reference, unit.path, LOOPBACK
    results = []
    try:
        if unit.road == "remote":
            klass.namespaces = Namespaces(f"{run.tag()}-{os.getpid()}")
            klass.network = klass.namespaces.clients()
        with contextlib.nullcontext() if klass.exclusive else wire.kept(unit, klass.namespaces):
            for name in unit.tests:
                results.append(_one(klass, name))
            results += _end(klass)
    except Exception:  # the harness itself failed
        results.append(Result(f"{unit.module}.{unit.klass}", unit.road, "FAIL", message=traceback.format_exc()))
    finally:
        results += _end(klass)
        if klass.namespaces:
            klass.namespaces.close()
    return results


def _daemon(klass):
    """The class's daemon, started anew when there is none or a test broke it."""
    if klass.own_daemon:
        return
    if klass.daemon is not None and not klass.daemon.running():
        klass.daemon.remove()
        klass.daemon = None
    if klass.daemon is None:
        klass.daemon = Daemon(klass.network, [*ROAD_OPTIONS[klass.road], *klass.options], klass.daemon_path,
                              klass.reference)
        klass.daemon.start()


def _one(klass, name):
    test = klass(name)
    outcome = _Outcome()
    result = Result(str(test), klass.road, "FAIL")
    reason = getattr(getattr(test, name), "differs", None) if klass.reference else None
    if reason:
        return Result(str(test), klass.road, "SKIP", message=reason)
    begin = time.monotonic()
    try:
        with _limited(klass.limit):
            _daemon(klass)
            test.run(outcome)
            if klass.daemon is not None and outcome.status == "PASS":
                klass.daemon.check()
        result.status, result.message = outcome.status, outcome.message
    except Exception:
        result.message = outcome.message + traceback.format_exc()
    result.seconds = time.monotonic() - begin
    if result.status == "PASS" and getattr(getattr(test, name), "recorded", False):
        result.record = test.record()
    if result.status == "FAIL" and klass.daemon is not None:
        result.message += f"daemon's log:\n{klass.daemon.tail()}\n"
    return result


class _limited:
    """Raise Limit in the block when it takes too long."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        signal.signal(signal.SIGALRM, self._late)
        signal.alarm(self.seconds)

    def __exit__(self, *_):
        signal.alarm(0)

    def _late(self, *_):
        raise Limit(f"took more than {self.seconds} s")


def _end(klass):
    """Stop the class's daemon, which must end cleanly."""
    daemon, klass.daemon = klass.daemon, None
    if daemon is None:
        return []
    try:
        daemon.stop()
        return []
    except Exception as error:
        return [Result(f"{klass.__module__}.{klass.__name__} (end of the daemon)", klass.road, "FAIL",
                       message=str(error))]
    finally:
        daemon.remove()
