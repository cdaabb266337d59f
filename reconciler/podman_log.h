/*
 * Podman's log stream, pure: frames in, lines out. A frame is a stream's
 * number, three zeros, a length (big-endian), then "TIME TEXT"; a line is one
 * or more frames of which the last ends with a line break.
 *
 * Podman tells the time in whole seconds only. To continue after the last
 * line seen, lines get a place within their second: the n-th line of a second
 * is n nanoseconds later than its beginning (or than the container's creation,
 * if that was in the same second, so that a new container's lines are always
 * later than those of the one before). As a log reads the same every time, the
 * place says which lines of a second are known.
 */

#ifndef MC_PODMAN_LOG_H
#define MC_PODMAN_LOG_H

#include <stddef.h>
#include <stdint.h>

/* A longer line is cut. */
#define PODMAN_LINE_MAX  8192

typedef void (*podman_line_pt)(void *data, const char *time,
    const char *stream, const char *line, size_t len);

typedef struct {
    char    text[PODMAN_LINE_MAX];
    size_t  len;
} podman_line_t;

typedef struct {
    podman_line_pt  emit;
    void           *data;
    int64_t         created_ns;         /* of the container */
    int64_t         skip_sec;           /* known lines of this second: */
    int64_t         skip;
    int64_t         sec;                /* of the last line */
    int64_t         n;                  /* its place */
    /* the frame being read */
    uint8_t         head[8];
    unsigned        head_len;
    uint32_t        left;
    unsigned        stream;             /* 0 stdout, 1 stderr */
    char            time[48];
    unsigned        time_len;
    int             in_text;
    int             newline;            /* the last byte was one */
    podman_line_t   lines[2];
} podman_log_t;

/* Begins to read from the beginning of a stream: a container that was created
 * at created_ns, of whose lines those up to since are known (RFC 3339, ""
 * none). Writes the time to ask Podman for lines after, "" for all. What was
 * in log before is forgotten but for emit and data. */
void podman_log_begin(podman_log_t *log, int64_t created_ns,
    const char *since, char ask[32]);

/* Takes bytes of the stream, cut anywhere. 0, or -1 when they make no sense:
 * then the stream is of no more use. */
int podman_log_feed(podman_log_t *log, const char *p, size_t len);

/* The time of the last line that was emitted or skipped, "" none. */
void podman_log_last(const podman_log_t *log, char time[40]);

#endif
