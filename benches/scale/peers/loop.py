"""What a script does to find stale locks: tries each flock as `filelock` does, reads the PID, asks whether it lives."""
import fcntl, os, re, sys
try:
    from psutil import pid_exists
    who = "psutil"
except ImportError:
    def pid_exists(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True
    who = "os.kill"
held = stale = free = other = 0
for entry in os.scandir(sys.argv[1]):
    if not entry.name.endswith(".lock"):
        continue
    fd = os.open(entry.path, os.O_RDWR)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held += 1
            continue
        text = os.read(fd, 4096)
        os.fstat(fd)
        found = re.match(rb'\s*(?:\{"pid": )?(\d+)', text)
        if not text:
            free += 1
        elif not found:
            other += 1
        elif pid_exists(int(found[1])):
            held += 1
        else:
            stale += 1
    finally:
        os.close(fd)
print(who, held, stale, free, other)
