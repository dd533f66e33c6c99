/* A disk that is slow and fails, for the files below $BAD_DISK, by LD_PRELOAD.

   Which fault a file meets is in its name: "eio" cannot be read, "short" gives a few bytes at a time, "stall"
   makes each read wait. Anything written below $FULL_DISK beyond $FULL_DISK_BYTES in all finds no room. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long written;

static const char *place(int fd, const char *variable, char *path) {
    const char *folder = getenv(variable);
    char link[64];
    ssize_t n;
    if (!folder)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, 4095);
    if (n < 0)
        return NULL;
    path[n] = 0;
    return strncmp(path, folder, strlen(folder)) ? NULL : path;
}

static int fault(int fd, size_t *n) {
    char path[4096];
    const char *name = place(fd, "BAD_DISK", path);
    if (!name)
        return 0;
    name = strrchr(name, '/');
    if (strstr(name, "eio")) {
        errno = EIO;
        return 1;
    }
    if (strstr(name, "short") && *n > 1000)
        *n = 1000;
    if (strstr(name, "stall"))
        usleep(20000);
    return 0;
}

static int full(int fd, size_t n) {
    char path[4096];
    const char *most = getenv("FULL_DISK_BYTES");
    if (!most || !place(fd, "FULL_DISK", path))
        return 0;
    if (__atomic_add_fetch(&written, (long)n, __ATOMIC_SEQ_CST) <= atol(most))
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t read(int fd, void *buffer, size_t n) {
    static ssize_t (*next)(int, void *, size_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "read");
    return fault(fd, &n) ? -1 : next(fd, buffer, n);
}

ssize_t pread(int fd, void *buffer, size_t n, off_t at) {
    static ssize_t (*next)(int, void *, size_t, off_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "pread");
    return fault(fd, &n) ? -1 : next(fd, buffer, n, at);
}

ssize_t pread64(int fd, void *buffer, size_t n, off_t at) { return pread(fd, buffer, n, at); }

ssize_t write(int fd, const void *buffer, size_t n) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "write");
    return full(fd, n) ? -1 : next(fd, buffer, n);
}

ssize_t pwrite(int fd, const void *buffer, size_t n, off_t at) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "pwrite");
    return full(fd, n) ? -1 : next(fd, buffer, n, at);
}

ssize_t pwrite64(int fd, const void *buffer, size_t n, off_t at) { return pwrite(fd, buffer, n, at); }
