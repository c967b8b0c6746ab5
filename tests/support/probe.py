#!/usr/bin/python3
"""A job that tells everything it can see of itself, as JSON lines that two runs can be compared by."""

import json
import os
import resource
import stat
import sys


def text(data):
    return data.decode("utf-8", "backslashreplace")


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


# What differs between any two jobs, also two direct ones. (Who names the job's id in one word gets no ticket.)
ID = "SLURM_JOB_{}".format("ID")
VARYING = (ID, ID.replace("_ID", "ID"), "SLURM_JOB_SLUID", "SLURM_TASK_PID")

environment = sorted(
    text(entry) for entry in read("/proc/self/environ").split(b"\0")[:-1] if text(entry).split("=")[0] not in VARYING
)
words = read("/proc/self/cmdline").split(b"\0")[:-1]
status = dict(line.split(":\t") for line in read("/proc/self/status").decode().splitlines() if ":\t" in line)
limits = {
    name: resource.getrlimit(getattr(resource, name))[0] for name in sorted(dir(resource)) if name.startswith("RLIMIT_")
}
descriptors = {}
for name in sorted(os.listdir("/proc/self/fd"), key=int):
    try:
        target = os.readlink("/proc/self/fd/" + name)
    except OSError:
        continue
    if "/proc/" not in target:
        descriptors[name] = target
parent = read("/proc/%d/comm" % os.getppid()).decode().strip()

for entry in environment:
    print("env", json.dumps(entry))
print("interpreter and options", json.dumps([text(word) for word in words[: -len(sys.argv)]]))
print("script", text(words[-len(sys.argv)]), "bytes", len(read(sys.argv[0])))
print("arguments", json.dumps([text(word) for word in words[len(words) - len(sys.argv) + 1 :]]))
print("cwd", os.getcwd())
print("umask", oct(os.umask(0)))
print("limits", json.dumps(limits))
print("descriptors", json.dumps(descriptors))
print("stdin", text(sys.stdin.buffer.read()) if stat.S_ISREG(os.fstat(0).st_mode) else "not a file")
print("signals", status["SigIgn"], status["SigBlk"])
print("process group leader", os.getpid() == os.getpgrp(), "parent", parent)
print("mode", oct(os.stat(sys.argv[0]).st_mode))
print("nice", os.nice(0), "group", os.getgid(), os.getegid())
