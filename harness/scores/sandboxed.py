"""The inside of the sandbox: gives up every right it does not need, then runs one program.

In: one JSON object on standard input. Out: on the descriptor it names, a token when the program came to its
end, or what stopped it. This file is run by path in a fresh interpreter, imports the standard library alone,
and nothing of the package imports it. What the kernel refuses from here on:

- Landlock: reading but for the standard library and system libraries, writing but for the working folder,
  TCP,
  signals and abstract sockets to anything outside.
- seccomp: new processes and programs, sockets of every kind, signals to others, tracing, namespaces, mounts,
  changes
  of modes and owners, shared memory that outlives the process, and raising a limit again.

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
REFUSED: dict[str, tuple[int, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "tkill": (200, 130), "ptrace": (101, 117), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "bpf": (321, 280), "perf_event_open": (298, 241), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "iopl": (172, None),
    "ioperm": (173, None), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "setrlimit": (160, 164), "setpriority": (141, 140),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "setsid": (112, 157),
    "setpgid": (109, 154), "prctl": (157, 167), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "truncate": (76, 45), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "mknod": (133, None), "acct": (163, 89), "mknodat": (259, 33),
    "quotactl": (179, 60), "syslog": (103, 116), "userfaultfd": (323, 282),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
}  # fmt: skip
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
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            steps += [(EQUAL, 0, 1, number), refuse]
    # The C library falls back to clone, whose flags can be seen here: threads may be made, processes not.
    steps += [(EQUAL, 0, 1, CLONE3[column]), gone]
    steps += [
        (EQUAL, 0, 4, CLONE[column]),
        (LOAD, 0, 0, ARGUMENTS),
        (ANY_BIT, 1, 0, CLONE_THREAD),
        refuse,
        allow,
    ]
    for numbers in (KILL, TGKILL):
        steps += [
            (EQUAL, 0, 4, numbers[column]),
            (LOAD, 0, 0, ARGUMENTS),
            (EQUAL, 1, 0, os.getpid()),
            refuse,
            allow,
        ]
    # Reading a limit is fine, setting one is not: the third argument is where the new one stands.
    steps += [(EQUAL, 0, 6, PRLIMIT[column])]
    for half in (0, 4):
        steps += [(LOAD, 0, 0, ARGUMENTS + 16 + half), (EQUAL, 1, 0, 0), refuse]
    return [*steps, allow]


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
