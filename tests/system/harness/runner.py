# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The runner: finds the tests, runs every class on every road in a few processes, compares the roads, counts."""

import argparse
import fnmatch
import glob
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
import unittest

from . import build, network, run, statements, transports, wire
from .daemon import Daemon
from .kernel import KernelLog
from .network import LOOPBACK
from .suite import ROAD_OPTIONS, ROADS, SystemTest
from .unit import Result, Unit, execute


# Without --road only these take the road `both`, for the time it takes: tests of what is delivered and of the fast path, or
# where most crosses, when a sanitizer makes everything slow.
DELIVERY = ("test_model", "test_sequences", "test_fast_*", "test_flow_*", "test_order", "test_qos_*", "test_retain",
            "test_session", "test_takeover", "test_will",
            *(f"test_v5_{name}" for name in "alias expiry fast flow mixed publish qos session shared size subscribe "
              "unsubscribe will".split()))
CROSSING = ("test_model", "test_fast_roads", "test_fast_mixed")
# Without --road, with a sanitizer: a test that can take the road `local` takes it, where the daemon does all it does without
# the fast path and more. These take each of their roads, for what the daemon itself delivers or has to do for that road.
EACH_ROAD = ("test_model", "test_fast_*", "test_flow_*", "test_order", "test_v5_fast")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="run", description="System tests of the broker.")
    parser.add_argument("--fastpath", choices=("on", "off", "all"), default="all",
                        help="roads: off; on = local, remote and, for tests of delivery, both; all = off and on, and "
                        "compare them (default)")
    parser.add_argument("--road", action="append", choices=ROADS, help="only this road; may be repeated")
    parser.add_argument("-k", dest="patterns", action="append", metavar="PATTERN",
                        help="only tests whose name contains or matches PATTERN; may be repeated")
    parser.add_argument("-j", dest="jobs", type=int, help="processes (default: 3 for each "
                        "processor, as tests wait for most of their time; with a sanitizer 2)")
    parser.add_argument("--persistence", choices=("sync", "batch", "off"),
                        help="daemons keep what outlives them on disk, with this durability")
    parser.add_argument("--transport", choices=transports.KINDS, help="what all daemons speak that do not say otherwise")
    parser.add_argument("--lag", type=int, metavar="MS",
                        help="let the daemons' threads sleep at random, up to MS: shows what tests only hope for")
    parser.add_argument("--daemon", metavar="PATH", help="the daemon (default: build/shuntd)")
    parser.add_argument("--reference", action="store_true",
                        help="run Debian's mosquitto instead, to test the tests; what only Shunt has is skipped")
    parser.add_argument("--require-fastpath", action="store_true",
                        help="fail, do not skip, where the kernel refuses the fast path")
    parser.add_argument("--list", action="store_true", help="list the tests and what they prove")
    parser.add_argument("--statements", action="store_true", help="print the table statement -> tests")
    parser.add_argument("--conformance", action="store_true",
                        help="write that table to tests/conformance.md; status 1 when a statement has no test")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="list the N slowest at the end")
    return parser.parse_args()


def discover(patterns):
    """[(class, [test names])], filtered."""
    sys.path.insert(0, build.HERE)
    found = []
    for path in sorted(glob.glob(f"{build.HERE}/test_*.py")):
        module = importlib.import_module(os.path.basename(path)[:-3])
        for klass in vars(module).values():
            if isinstance(klass, type) and issubclass(klass, SystemTest) and klass.__module__ == module.__name__:
                names = [name for name in unittest.defaultTestLoader.getTestCaseNames(klass)
                         if _wanted(str(klass(name)), patterns)]
                if names:
                    found.append((klass, names))
    return found


def _wanted(name, patterns):
    return not patterns or any(p in name or fnmatch.fnmatch(name, p) for p in patterns)


def _tests(found):
    return [(str(klass(name)), getattr(klass, name).__doc__) for klass, names in found for name in names]


def why_skipped(options):
    """Road -> why it cannot be used here."""
    reasons = {}
    if not options.reference and (set(options.roads) - {"off"}):
        reasons.update(_probe(options))
    if "remote" in options.roads and "remote" not in reasons and (reason := network.why_not()):
        reasons["remote"] = reason
    return reasons


def _probe(options):
    """Does the daemon say that the kernel takes the fast path?"""
    daemon = Daemon(LOOPBACK, ROAD_OPTIONS["local"], options.daemon)
    try:
        status = daemon.start().stats()["fastpath"]
        daemon.stop()
    finally:
        daemon.remove()
    if status["state"] == "on":
        return {}
    reason = f"fast path is off: {status['reason']}"
    if options.require_fastpath:
        raise SystemExit(reason)
    return {"local": reason, "remote": reason, "both": reason}


def units(found, options, skipped):
    """(units to run, Results of what is skipped)."""
    todo, results = [], []
    local = not options.road and build.sanitized() and "local" in {*options.roads} - {*skipped}
    for klass, names in found:
        for road in options.roads:
            if road == "both" and not options.road and not _delivers(klass):
                continue
            here = [n for n in names if road in _roads(klass, n, local)]
            if not here:
                continue
            if road in skipped:
                results += [Result(str(klass(n)), road, "SKIP", message=skipped[road]) for n in here]
            else:
                todo.append((klass.exclusive, Unit(klass.__module__, klass.__name__, road, here, options.reference,
                                                   options.daemon)))
    return todo, results


def _roads(klass, name, local):
    """The roads that a test takes. `local`: only that one, if it can and need not take each."""
    roads = getattr(getattr(klass, name), "roads", klass.roads)
    each = any(fnmatch.fnmatch(klass.__module__, pattern) for pattern in EACH_ROAD)
    return ("local",) if local and "local" in roads and not each else roads


def _delivers(klass):
    patterns = CROSSING if build.sanitized() else DELIVERY
    return any(fnmatch.fnmatch(klass.__module__, pattern) for pattern in patterns)


def show(result):
    """One line a test, and the story of a failure."""
    line = f"{result.status} {result.road:6} {result.test}"
    if result.status == "SKIP":
        line += f": {result.message}"
    else:
        line += f" {result.seconds:.2f} s"
    print(line, flush=True)
    if result.status == "FAIL":
        print("".join(f"    {text}\n" for text in result.message.splitlines()), flush=True)


def run_units(todo, jobs):
    """Run the shared ones side by side, then the exclusive ones alone; yields Results."""
    for alone in (False, True):
        yield from _side_by_side([unit for exclusive, unit in todo if exclusive == alone], 1 if alone else jobs)


def _side_by_side(waiting, jobs):
    """Each unit in a process of its own, `jobs` at once."""
    running = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            unit = waiting.pop(0)
            ours, theirs = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.Process(target=_child, args=(unit, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = process, unit
        for pipe in multiprocessing.connection.wait(running):
            process, unit = running.pop(pipe)
            try:
                yield from pipe.recv()
            except EOFError:
                yield Result(f"{unit.module}.{unit.klass}", unit.road, "FAIL", message="its process died")
            pipe.close()
            process.join()


def _child(unit, pipe):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(execute(unit))


def compare(results):
    """A FAIL for every recorded test whose roads differ."""
    by_test = {}
    for result in results:
        if result.record is not None:
            by_test.setdefault(result.test, {})[result.road] = result.record
    for test, records in sorted(by_test.items()):
        names = list(records)
        for other in names[1:]:
            if difference := _difference(records[names[0]], records[other]):
                yield Result(f"{test} (compared with {names[0]})", other, "FAIL", message=difference)


def _difference(one, other):
    """Where two records differ first, in words."""
    for key in sorted(set(one) | set(other)):
        a, b = one.get(key), other.get(key)
        if a == b:
            continue
        if isinstance(a, list) and isinstance(b, list):
            n = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            return f"{key}: {len(a)} and {len(b)} messages, message {n} is {a[n:n + 1]} and {b[n:n + 1]}"
        return f"{key}: {a} and {b}"
    return None


def main():
    """Returns the exit status."""
    options = arguments()
    options.roads = options.road or {"on": [*ROADS[1:]], "off": ["off"], "all": [*ROADS]}[options.fastpath]
    if options.reference:
        options.roads = [road for road in options.roads if road not in ("local", "both")]  # the same as off
    options.jobs = options.jobs or (os.cpu_count() or 1) * (2 if build.sanitized() else 3)
    if options.persistence:  # the processes of the units are forks of this one
        durability = {"batch": "batch 20"}.get(options.persistence, options.persistence)
        Daemon.persistence = ["persistence true", f"durability {durability}"]
    if options.lag:
        Daemon.lag = build.preloaded("lag") | {"SHUNT_LAG": str(options.lag)}
    found = discover(options.patterns)
    if options.list:
        for name, doc in _tests(found):
            print(f"{name}: {' '.join((doc or '').split())}")
        return 0
    if options.statements:
        print(statements.table(_tests(found)))
        return 0
    if options.conformance:
        return _conformance(discover(None))
    statements.proved(_tests(found))
    run.begin()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.transport:
            Daemon.transport = transports.Kind(options.transport)
        return _run(found, options)
    finally:
        run.end()


def _conformance(found):
    statements.write(_tests(found))
    missing = statements.missing(_tests(found))
    print("".join(f"no test: {text}\n" for text in missing), end="")
    return 1 if missing else 0


def _run(found, options):
    begin, kernel = time.monotonic(), KernelLog()
    todo, results = units(found, options, why_skipped(options))
    for result in results:
        show(result)
    for result in run_units(todo, options.jobs):
        show(result)
        results.append(result)
    for result in compare(results):
        show(result)
        results.append(result)
    results.append(_kernel_result(kernel))
    show(results[-1])
    if not options.patterns:
        results.append(_conformance_result(found))
        show(results[-1])
    for result in () if options.transport else _opinions():  # they know MQTT in the clear
        show(result)
        results.append(result)
    for result in sorted(results, key=lambda r: -r.seconds)[:options.slowest]:
        print(f"{result.seconds:7.2f} s {result.road:6} {result.test}")
    count = {status: sum(r.status == status for r in results) for status in ("PASS", "FAIL", "SKIP")}
    print("roads: " + ", ".join(f"{road} {n}" for road in options.roads if (n := sum(r.road == road for r in results))))
    print(f"system tests: {time.monotonic() - begin:.0f} s")
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['SKIP']} skipped")
    return 1 if count["FAIL"] else 0


def _conformance_result(found):
    wrong = statements.complaints(_tests(found))
    return Result("conformance table", "all", "FAIL" if wrong else "PASS", message="\n".join(wrong))


def _opinions():
    """What others think of what the broker sent."""
    for whose, wrong, reason in wire.opinions():
        yield Result(whose, "all", "SKIP" if reason else "FAIL" if wrong else "PASS", message=reason or wrong)


def _kernel_result(kernel):
    if kernel.fd < 0:
        return Result("kernel log", "all", "SKIP", message=kernel.reason)
    lines = kernel.complaints()
    return Result("kernel log", "all", "FAIL" if lines else "PASS", message="\n".join(lines))
