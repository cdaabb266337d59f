#include <stdio.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "podman_log.h"

#define SECOND     1000000000LL
#define FRAME_MAX  (16 * 1024 * 1024)


/* Where the lines of a second begin. */
static int64_t
base_ns(const podman_log_t *log, int64_t sec)
{
    return log->created_ns / SECOND == sec ? log->created_ns : sec * SECOND;
}

static void
format_ns(char dst[40], int64_t ns)
{
    time_t     sec = (time_t) (ns / SECOND);
    struct tm  tm;
    size_t     n;

    gmtime_r(&sec, &tm);
    n = strftime(dst, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(dst + n, 40 - n, ".%09dZ", (int) (ns % SECOND));
}

static int64_t
line_ns(const podman_log_t *log)
{
    int64_t  ns = base_ns(log, log->sec) + log->n;
    int64_t  end = (log->sec + 1) * SECOND - 1;

    return ns < end ? ns : end;
}

void
podman_log_begin(podman_log_t *log, int64_t created_ns, const char *since,
    char ask[32])
{
    podman_line_pt   emit = log->emit;
    void            *data = log->data;
    int64_t          ns = mc_time_parse_ns(since);

    memset(log, 0, sizeof(*log));
    log->emit = emit;
    log->data = data;
    log->created_ns = created_ns;
    log->sec = -1;
    log->skip_sec = -1;
    ask[0] = '\0';
    if (ns < created_ns || ns <= 0) {
        return;                         /* nothing is known of it */
    }
    log->skip_sec = ns / SECOND;
    log->skip = ns - base_ns(log, log->skip_sec);
    log->sec = log->skip_sec;           /* podman_log_last() of no new line */
    log->n = log->skip;
    snprintf(ask, 32, "%lld.999999999", (long long) (log->skip_sec - 1));
}

void
podman_log_last(const podman_log_t *log, char time[40])
{
    time[0] = '\0';
    if (log->sec >= 0) {
        format_ns(time, line_ns(log));
    }
}

static void
end_line(podman_log_t *log)
{
    static const char *const  names[] = { "stdout", "stderr" };
    podman_line_t            *l = &log->lines[log->stream];
    char                      time[40];
    int64_t                   ns = mc_time_parse_ns(log->time), sec;

    sec = ns > 0 ? ns / SECOND : log->sec < 0 ? 0 : log->sec;
    if (sec == log->skip_sec) {
        /* the places of this second are counted from its beginning */
        if (log->skip > 0) {
            log->skip--;
            l->len = 0;
            return;
        }
    }
    if (sec != log->sec) {
        log->sec = sec;
        log->n = 0;
    }
    log->n++;
    if (l->len && l->text[l->len - 1] == '\r') {
        l->len--;
    }
    format_ns(time, line_ns(log));
    log->emit(log->data, time, names[log->stream], l->text, l->len);
    l->len = 0;
}

static void
add_text(podman_log_t *log, const char *p, size_t len)
{
    podman_line_t  *l = &log->lines[log->stream];
    size_t          room = sizeof(l->text) - l->len;

    log->newline = (p[len - 1] == '\n');
    len -= (size_t) log->newline;
    if (len > room) {
        len = room;
    }
    memcpy(l->text + l->len, p, len);
    l->len += len;
}

static int
begin_frame(podman_log_t *log)
{
    const uint8_t  *h = log->head;

    log->left = (uint32_t) h[4] << 24 | (uint32_t) h[5] << 16
                | (uint32_t) h[6] << 8 | h[7];
    if (h[0] < 1 || h[0] > 2 || h[1] || h[2] || h[3] || log->left > FRAME_MAX) {
        return -1;
    }
    log->stream = h[0] - 1u;
    log->time_len = 0;
    log->in_text = 0;
    log->newline = 0;
    return 0;
}

/* The time up to the first space; how many bytes were taken. */
static size_t
take_time(podman_log_t *log, const char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] == ' ') {
            log->in_text = 1;
            i++;
            break;
        }
        if (log->time_len < sizeof(log->time) - 1) {
            log->time[log->time_len++] = p[i];
        }
    }
    log->time[log->time_len] = '\0';
    return i;
}

int
podman_log_feed(podman_log_t *log, const char *p, size_t len)
{
    size_t  n;

    while (len) {
        if (log->left == 0) {
            log->head[log->head_len++] = (uint8_t) *p++;
            len--;
            if (log->head_len == sizeof(log->head)) {
                log->head_len = 0;
                if (begin_frame(log) != 0) {
                    return -1;
                }
            }
            continue;
        }
        n = len < log->left ? len : log->left;
        if (log->in_text) {
            add_text(log, p, n);
        } else {
            n = take_time(log, p, n);
        }
        p += n;
        len -= n;
        log->left -= (uint32_t) n;
        if (log->left == 0 && log->newline) {
            end_line(log);
        }
    }
    return 0;
}
