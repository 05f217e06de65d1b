/* The least that can be done to tell of a changed lock file with its evidence: waits for the event, reads the kernel's lock
   table, looks at the file, reads it, looks again whether it changed, asks for its owner, prints a line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char events[65536], table[65536], text[4096], line[4096];
    if (argc != 2) return 2;
    int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), locks = open("/proc/locks", O_RDONLY);
    if (notify < 0 || inotify_add_watch(notify, argv[1], IN_MOVED_TO | IN_CLOSE_WRITE) < 0) return 1;
    for (;;) {
        struct pollfd wait = {.fd = notify, .events = POLLIN};
        if (poll(&wait, 1, -1) < 1) continue;
        ssize_t got = read(notify, events, sizeof events);
        int directory = open(argv[1], O_RDONLY | O_DIRECTORY);
        struct stat there;
        if (directory < 0 || fstat(directory, &there)) continue;
        ssize_t known = pread(locks, table, sizeof table, 0);
        for (char *at = events; at < events + got;) {
            struct inotify_event *event = (void *)at;
            at += sizeof *event + event->len;
            struct stat before, after;
            if (!event->len || fstatat(directory, event->name, &before, AT_SYMLINK_NOFOLLOW)) continue;
            int file = openat(directory, event->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
            if (file < 0) continue;
            ssize_t size = pread(file, text, sizeof text - 1, 0);
            if (size < 0 || fstat(file, &after)) return 1;
            close(file);
            text[size] = 0;
            int owner = syscall(SYS_pidfd_open, atoi(text), 0);
            if (owner >= 0) close(owner);
            int length = snprintf(line, sizeof line, "%s %zd %d %lld %zd\n", event->name, size, owner,
                                  (long long)after.st_mtime, known);
            if (write(1, line, length) != length) return 1;
        }
        close(directory);
    }
}
