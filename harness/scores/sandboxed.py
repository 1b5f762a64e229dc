"""The inside of the sandbox: gives up every right it does not need, then runs one program.

In: one JSON object on standard input. Out: on the descriptor it names, a token when the program came to its
end, or what stopped it. This file is run by path in a fresh interpreter, imports the standard library alone,
and nothing of the package imports it. What the kernel lets it do from here on:

- Landlock: reading the standard library and system libraries, writing in the working folder; no TCP, no
  signals and no abstract sockets to anything outside.
- seccomp: the calls listed below and no others, which leaves out new processes and programs, sockets of every
  kind, signals to others, tracing, namespaces, mounts, modes and owners, shared memory that outlives the
  process, the priority of others, and raising a limit again.

Source: Linux, Documentation/userspace-api/landlock.rst and seccomp_filter.rst; numbers of system calls as in
the kernel's tables for x86-64 and for arm64.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
import sysconfig
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 38, 22, 2
RULESET, ADD_RULE, RESTRICT = 444, 445, 446
READ_FILE, READ_DIR, WRITE_FILE, REMOVE_FILE, MAKE_REG, TRUNCATE = (
    1 << 2,
    1 << 3,
    1 << 1,
    1 << 5,
    1 << 8,
    1 << 14,
)
EXECUTE = 1 << 0
# How many kinds of access each version of Landlock knows: those of files, of TCP, of other processes.
KINDS = {1: (13, 0, 0), 2: (14, 0, 0), 3: (15, 0, 0), 4: (15, 2, 0), 5: (16, 2, 0), 6: (16, 2, 2)}
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")

# (x86-64, arm64); None where a machine has no such call.
ALLOWED: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "lseek": (8, 62), "close": (3, 57),
    "close_range": (436, 436), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None),
    "pipe2": (293, 59), "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "stat": (4, None),
    "lstat": (6, None), "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "getdents": (78, None), "getdents64": (217, 61), "getcwd": (79, 17),
    "chdir": (80, 49), "fchdir": (81, 50), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "ftruncate": (77, 46), "fallocate": (285, 47), "fsync": (74, 82),
    "fdatasync": (75, 83), "flock": (73, 32), "fadvise64": (221, 223), "statfs": (137, 43),
    "fstatfs": (138, 44), "umask": (95, 166), "sendfile": (40, 71), "copy_file_range": (326, 285),
    "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "madvise": (28, 233), "mincore": (27, 232), "msync": (26, 227), "membarrier": (324, 283),
    "futex": (202, 98), "set_robust_list": (273, 99), "set_tid_address": (218, 96), "rseq": (334, 293),
    "arch_prctl": (158, None), "gettid": (186, 178), "getpid": (39, 172), "getppid": (110, 173),
    "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getgroups": (115, 158),
    "getresuid": (118, 148), "getresgid": (120, 150), "getrlimit": (97, 163), "getrusage": (98, 165),
    "times": (100, 153), "uname": (63, 160), "sysinfo": (99, 179), "getrandom": (318, 278),
    "getcpu": (309, 168), "getpriority": (140, 141), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "sched_rr_get_interval": (148, 127), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136), "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "pause": (34, None), "alarm": (37, None),
    "getitimer": (36, 102), "setitimer": (38, 103), "timer_create": (222, 107), "timer_settime": (223, 110),
    "timer_gettime": (224, 108), "timer_getoverrun": (225, 109), "timer_delete": (226, 111),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "restart_syscall": (219, 128), "select": (23, None), "pselect6": (270, 72), "poll": (7, None),
    "ppoll": (271, 73), "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "eventfd": (284, None),
    "eventfd2": (290, 19), "wait4": (61, 260), "waitid": (247, 95), "exit": (60, 93),
    "exit_group": (231, 94),
}  # fmt: skip
# Of these calls a few commands: of fcntl those on flags, locks and copies of a descriptor (not who gets its
# signals), of ioctl those on flags, what is there to read, and whether it is a terminal.
FCNTL, IOCTL = (72, 25), (16, 29)
FLAGS, LOCKS, SIZE = (0, 1, 2, 3, 4, 1030), (5, 6, 7, 36, 37, 38), (1032,)
OF_FCNTL = (*FLAGS, *LOCKS, *SIZE)
OF_IOCTL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
CLONE, CLONE3, KILL, TGKILL, PRLIMIT = (56, 220), (435, 435), (62, 129), (234, 131), (302, 261)
CLONE_THREAD = 0x10000
KILL_PROCESS, REFUSE, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NR, ARCH, ARGUMENTS = 0, 4, 16  # offsets in what a filter sees
OTHER_ABI = 0x40000000  # from here on, numbers of x86-64 mean another table


def limit(*, cpu_s: int, memory_bytes: int, file_bytes: int, files: int, alone: bool) -> None:
    """Set the limits of this process for good. alone: whether new processes are refused by a limit, too."""
    wanted = {
        resource.RLIMIT_CPU: (cpu_s, cpu_s + 1),
        resource.RLIMIT_AS: (memory_bytes, memory_bytes),
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
        resource.RLIMIT_NOFILE: (files, files),
        resource.RLIMIT_CORE: (0, 0),
        **({resource.RLIMIT_NPROC: (0, 0)} if alone else {}),
    }
    for what, most in wanted.items():
        resource.setrlimit(what, most)
    # A file that grows too large is an error to the program, not its end without a word.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def isolate(folder: str) -> None:
    """Let the kernel refuse what is listed above, for good. Raises OSError where it cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    restrict_files(libc, folder)
    code = b"".join(struct.pack("HBBI", *step) for step in program())
    filter_ = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(filter_))
    checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0), "seccomp")


def restrict_files(libc: ctypes.CDLL, folder: str) -> None:
    """Landlock: what is not allowed here is refused."""
    version = libc.syscall(RULESET, None, 0, 1)
    checked(version, "Landlock")
    files, tcp, scopes = KINDS[min(version, max(KINDS))]
    masks = [(1 << count) - 1 for count in (files, tcp, scopes)]
    attributes = struct.pack("QQQ", *masks)[: 8 + 8 * (tcp > 0) + 8 * (scopes > 0)]
    ruleset = libc.syscall(RULESET, attributes, len(attributes), 0)
    checked(ruleset, "a Landlock ruleset")
    read = READ_FILE | READ_DIR | EXECUTE
    write = READ_FILE | READ_DIR | WRITE_FILE | REMOVE_FILE | MAKE_REG | (TRUNCATE if version >= 3 else 0)
    standard = {
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        f"{sys.base_prefix}/lib",
    }
    allowed = dict.fromkeys((*standard, *LIBRARIES), read) | {folder: write}
    devices = dict.fromkeys(("/dev/null", "/dev/zero", "/dev/urandom"), READ_FILE | WRITE_FILE)
    for path, access in (allowed | devices).items():
        if Path(path).exists():
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", access & masks[0], place)
            checked(libc.syscall(ADD_RULE, ruleset, 1, rule, 0), f"a Landlock rule for {path}")
            os.close(place)
    checked(libc.syscall(RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def program() -> list[tuple[int, int, int, int]]:
    """The filter of system calls: steps of (operation, jump if true, jump if false, value)."""
    column, arch = MACHINES[os.uname().machine]
    refuse, gone = (RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, REFUSE | errno.ENOSYS)
    allow, kill = (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, KILL_PROCESS)
    steps = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), kill, (LOAD, 0, 0, NR)]
    steps += [(AT_LEAST, 0, 1, OTHER_ABI), kill]
    for numbers in ALLOWED.values():
        number = numbers[column]
        if number is not None:
            steps += [(EQUAL, 0, 1, number), allow]
    # The C library falls back to clone, whose flags can be seen here: threads may be made, processes not.
    steps += [(EQUAL, 0, 1, CLONE3[column]), gone]
    threads = [(LOAD, 0, 0, ARGUMENTS), (ANY_BIT, 1, 0, CLONE_THREAD), refuse, allow]
    # Reading a limit is fine, setting one is not: the third argument is where the new one stands.
    halves = [(LOAD, 0, 0, ARGUMENTS + 16), (LOAD, 0, 0, ARGUMENTS + 20)]
    reading = [step for half in halves for step in (half, (EQUAL, 1, 0, 0), refuse)]
    checks = [(CLONE, threads), (PRLIMIT, [*reading, allow])]
    for call, place, values in (
        (KILL, 0, [os.getpid()]),
        (TGKILL, 0, [os.getpid()]),
        (FCNTL, 1, OF_FCNTL),
        (IOCTL, 1, OF_IOCTL),
    ):
        known = [step for value in values for step in ((EQUAL, 0, 1, value), allow)]
        checks.append((call, [(LOAD, 0, 0, ARGUMENTS + 8 * place), *known, refuse]))
    for call, check in checks:
        steps += [(EQUAL, 0, len(check), call[column]), *check]
    return [*steps, refuse]


def checked(result: int, what: str) -> None:
    """Raise OSError for a result below 0."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def report(descriptor: int, token: str, text: str) -> None:
    """Write what came of it, a few times at most: an interrupted write is no answer."""
    os.write(descriptor, (token + text)[:4000].encode("utf-8", "replace"))


def main() -> None:
    """Read the order, lock everything, run the program, report."""
    order = json.loads(sys.stdin.buffer.read())
    sys.stdin.close()
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - stays open to the end
    descriptor, token = order["descriptor"], order["token"]
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        limit(**order["limits"], alone=not order["isolated"])
        if order["isolated"]:
            isolate(order["folder"])
    except (OSError, ValueError, KeyError, AttributeError, OverflowError) as error:
        report(descriptor, token, f"cannot isolate: {error}")
        os._exit(2)
    try:
        code = builtins.compile(order["program"], "<answer>", "exec")
        exec(code, {"__name__": "answer", "__builtins__": builtins})  # noqa: S102 - this is what the file is for
    except BaseException as error:  # noqa: BLE001 - whatever it raises is what came of it
        text = str(error).strip().splitlines()
        report(descriptor, "", f"{type(error).__name__}{': ' + text[0] if text else ''}")
        os._exit(1)
    report(descriptor, token, "passed")
    os._exit(0)


if __name__ == "__main__":
    main()
