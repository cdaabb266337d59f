/*
 * Following a pod's log. A stream ends when its container does, when the log
 * is rotated, or when a connection breaks; then the pod is looked at, and
 * while it is there the log is taken up again at the second of the last line.
 * Lines that are known are dropped by their times, which are made to grow
 * strictly: lines of one nanosecond are told apart by their order, the same
 * way each time that they are read.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "kube_object.h"
#include "kube_stream.h"
#include "manifest.h"

#define RETRY_MIN_MS  500
#define RETRY_MAX_MS  10000
#define LINE_MAX_LEN  16384
#define TIME_ROOM     64
#define SECOND        1000000000LL

/* A stream can fall silent when the log is rotated; a quiet game looks the
 * same, so that it is opened again only now and then. */
#define SILENT_MS     (5 * 60 * 1000)

typedef enum {
    CURRENT, PREVIOUS, LAST             /* the container before; the rest */
} pass_t;

struct mc_kube_log_s {
    mc_kube_t          *kube;
    uv_loop_t          *loop;
    mc_kube_req_t      *req;
    uv_timer_t          timer;          /* the next try */
    uv_timer_t          silent;
    unsigned            handles;
    bool                stopped;
    bool                looked;         /* uid and restarts are known */
    char                uid[MC_UUID_LEN + 1];
    unsigned            restarts;
    pass_t              pass;
    unsigned            retry_ms;
    int64_t             known_ns;       /* of the last line given */
    int64_t             line_ns;        /* of the last line read */
    mc_engine_line_pt   line;
    void               *data;
    size_t              len;
    char                ns[64], pod[254];
    char                text[TIME_ROOM + LINE_MAX_LEN];
};

static void look(mc_kube_log_t *log);
static void follow(mc_kube_log_t *log, pass_t pass);


static void
timer_cb(uv_timer_t *t)
{
    look(t->data);
}


static void
look_later(mc_kube_log_t *log)
{
    uv_timer_start(&log->timer, timer_cb, log->retry_ms, 0);
    log->retry_ms *= 2;
    if (log->retry_ms > RETRY_MAX_MS) {
        log->retry_ms = RETRY_MAX_MS;
    }
}


/* The caller still has to stop it. */
static void
ended(mc_kube_log_t *log)
{
    log->line(log->data, "", NULL, "", 0);
}


/* -- lines -- */

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


/* A line without a time is not the game's but an excuse of the kubelet's. */
static void
end_line(mc_kube_log_t *log)
{
    char    *space = memchr(log->text, ' ', log->len), time[40];
    size_t   len = log->len, at;
    int64_t  ns;

    log->len = 0;
    if (space == NULL || space - log->text >= (long) sizeof(time)) {
        return;
    }
    at = (size_t) (space - log->text) + 1;
    snprintf(time, sizeof(time), "%.*s", (int) at - 1, log->text);
    ns = mc_time_parse_ns(time);
    if (ns < 0) {
        return;
    }
    log->line_ns = ns > log->line_ns ? ns : log->line_ns + 1;
    if (log->line_ns <= log->known_ns) {
        return;
    }
    log->known_ns = log->line_ns;
    log->retry_ms = RETRY_MIN_MS;
    len -= at;
    if (len && space[len] == '\r') {
        len--;
    }
    format_ns(time, log->known_ns);
    log->line(log->data, time, "stdout", space + 1,
              len < LINE_MAX_LEN ? len : LINE_MAX_LEN);
}


static void silent_cb(uv_timer_t *t);

static int
on_bytes(void *data, const char *p, size_t len)
{
    mc_kube_log_t  *log = data;
    size_t          n, room;
    const char     *nl;

    uv_timer_start(&log->silent, silent_cb, SILENT_MS, 0);
    while (len && !log->stopped) {
        nl = memchr(p, '\n', len);
        n = nl ? (size_t) (nl - p) : len;
        room = sizeof(log->text) - log->len;
        memcpy(log->text + log->len, p, n < room ? n : room);
        log->len += n < room ? n : room;
        if (nl) {
            end_line(log);
            n++;
        }
        p += n;
        len -= n;
    }
    return log->stopped ? -1 : 0;
}


/* -- requests -- */

static void
on_end(void *data, const mc_kube_reply_t *r)
{
    mc_kube_log_t  *log = data;
    pass_t          pass = log->pass;

    log->req = NULL;
    uv_timer_stop(&log->silent);
    if (r->result == MC_KUBE_OK && log->len) {
        end_line(log);                  /* its last one has no newline */
        if (log->stopped) {
            return;
        }
    }
    if (pass == PREVIOUS) {
        follow(log, CURRENT);

    } else if (pass == LAST && r->result == MC_KUBE_OK) {
        ended(log);

    } else {
        look_later(log);
    }
}


static void
follow(mc_kube_log_t *log, pass_t pass)
{
    char            query[256], since[40];
    int             n;
    mc_kube_call_t  call = {
        .method = "GET", .type = &mc_kube_pod, .ns = log->ns,
        .name = log->pod, .subresource = "log", .query = query,
        .on_data = on_bytes, .done = on_end, .data = log
    };

    n = snprintf(query, sizeof(query), "container=" MC_CONTAINER
                 "&timestamps=true%s%s",
                 pass == CURRENT ? "&follow=true" : "",
                 pass == PREVIOUS ? "&previous=true" : "");
    if (log->known_ns > 0) {
        format_ns(since, log->known_ns / SECOND * SECOND);
        snprintf(query + n, sizeof(query) - (size_t) n, "&sinceTime=%.19sZ",
                 since);
    }
    log->pass = pass;
    log->len = 0;
    log->line_ns = 0;
    log->req = mc_kube_send(log->kube, &call);
    if (log->req == NULL) {
        look_later(log);
        return;
    }
    uv_timer_start(&log->silent, silent_cb, SILENT_MS, 0);
}


static void
silent_cb(uv_timer_t *t)
{
    mc_kube_log_t  *log = t->data;

    if (log->req) {
        mc_kube_cancel(log->req);
        log->req = NULL;
    }
    look(log);
}


static void
on_pod(void *data, const mc_kube_reply_t *r)
{
    mc_kube_log_t     *log = data;
    mc_kube_object_t  *pod;
    bool               another, over, restarted;

    log->req = NULL;
    if (r->result == MC_KUBE_NOT_FOUND) {
        ended(log);
        return;
    }
    pod = r->result == MC_KUBE_OK ? mc_kube_object_read(r->body, r->len) : NULL;
    if (pod == NULL || !(pod->pod.running || pod->pod.terminated)) {
        another = pod && log->looked && strcmp(pod->meta.uid, log->uid) != 0;
        mc_kube_object_free(pod);
        if (another) {
            ended(log);
        } else {
            look_later(log);
        }
        return;
    }
    another = log->looked && strcmp(pod->meta.uid, log->uid) != 0;
    restarted = log->looked && pod->pod.restarts > log->restarts;
    over = strcmp(pod->pod.phase, "Failed") == 0
           || strcmp(pod->pod.phase, "Succeeded") == 0;
    log->looked = true;
    log->restarts = pod->pod.restarts;
    snprintf(log->uid, sizeof(log->uid), "%s", pod->meta.uid);
    mc_kube_object_free(pod);
    if (another) {
        ended(log);
    } else {
        follow(log, over ? LAST : restarted ? PREVIOUS : CURRENT);
    }
}


static void
look(mc_kube_log_t *log)
{
    log->req = mc_kube_get(log->kube, &mc_kube_pod, log->ns, log->pod, on_pod,
                           log);
    if (log->req == NULL) {
        look_later(log);
    }
}


/* -- life -- */

static void
handle_closed(uv_handle_t *h)
{
    mc_kube_log_t  *log = h->data;

    if (--log->handles == 0) {
        free(log);
    }
}


mc_kube_log_t *
mc_kube_log_follow(mc_kube_t *kube, uv_loop_t *loop, const char *ns,
    const char *pod, const char *since, mc_engine_line_pt line, void *data)
{
    mc_kube_log_t  *log = calloc(1, sizeof(*log));

    if (log == NULL) {
        return NULL;
    }
    log->kube = kube;
    log->loop = loop;
    log->line = line;
    log->data = data;
    log->retry_ms = RETRY_MIN_MS;
    log->known_ns = mc_time_parse_ns(since);
    snprintf(log->ns, sizeof(log->ns), "%s", ns);
    snprintf(log->pod, sizeof(log->pod), "%s", pod);
    uv_timer_init(loop, &log->timer);
    uv_timer_init(loop, &log->silent);
    log->timer.data = log->silent.data = log;
    log->handles = 2;
    look(log);
    return log;
}


void
mc_kube_log_stop(mc_kube_log_t *log)
{
    log->stopped = true;
    if (log->req) {
        mc_kube_cancel(log->req);
        log->req = NULL;
    }
    uv_close((uv_handle_t *) &log->timer, handle_closed);
    uv_close((uv_handle_t *) &log->silent, handle_closed);
}
