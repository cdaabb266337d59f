/*
 * The output of the pods, line by line into the bounded streams.
 *
 * The stream itself says how far it got: a follower begins after the time of
 * its last entry. Whenever it is not certain what was written (Redis lost, a
 * batch without an answer) the follower drops what it holds, asks the stream
 * again and reads the rest from the engine anew. So nothing is kept while
 * Redis is away, and no line is lost or doubled.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "clock.h"
#include "log.h"

#define FLUSH_MS       10
#define RETRY_MS       2000
#define DRAIN_MS       3000
#define LINES_MAX      1000         /* held; more pauses the engine's stream */
#define BYTES_MAX      (1024 * 1024)
#define LINE_BYTES     4096         /* longer ones are cut */

typedef struct line_s  line_t;

struct line_s {
    line_t  *next;
    size_t   size;
    char    *data;                  /* JSON */
    char     time[];
};

typedef enum {
    FOLLOW_IDLE,                    /* ended, or not begun */
    FOLLOW_WAITING,                 /* for Redis */
    FOLLOW_ASKING,                  /* how far the stream got */
    FOLLOW_READING,
    FOLLOW_PAUSED                   /* until lines are written */
} follow_state_t;

/* What a question to Redis holds instead of the follower, which may have lost
 * interest by the time of the answer. */
typedef struct {
    mc_follow_t  *follow;           /* NULL: it has */
} ticket_t;

struct mc_follow_s {
    mc_app_t          *app;
    mc_record_t       *rec;
    follow_state_t     state;
    ticket_t          *ticket;      /* the question under way */
    mc_engine_log_t   *log;         /* while reading */
    int64_t            run_ms;      /* start of the pod that is followed */
    int64_t            ended_ms;    /* that of the pod that was read to its end */
    bool               exited;      /* it was, when reading began */

    line_t            *first, **last;
    unsigned           n;           /* lines held */
    size_t             bytes;
    unsigned           sent;        /* of them on their way */
    char               since[64];   /* time of the last line taken */
    int64_t            since_ns;    /* lines up to here are known already */

    uv_timer_t         timer;       /* flush, retry */
    uv_timer_t         drain_timer;
    void             (*drained)(void *data);
    void              *drained_data;
};

static void follow_ask(mc_follow_t *f);
static void follow_read(mc_follow_t *f);
static void flush(mc_follow_t *f);


/* -- questions to Redis, one at a time -- */

static ticket_t *
ticket_take(mc_follow_t *f)
{
    ticket_t  *ticket = malloc(sizeof(*ticket));

    if (ticket != NULL) {
        ticket->follow = f;
        f->ticket = ticket;
    }
    return ticket;
}


/* The answer does not matter any more. */
static void
ticket_void(mc_follow_t *f)
{
    if (f->ticket != NULL) {
        f->ticket->follow = NULL;
        f->ticket = NULL;
    }
}


/* Who asked; NULL: nobody waits for it. */
static mc_follow_t *
ticket_redeem(ticket_t *ticket)
{
    mc_follow_t  *f = ticket->follow;

    if (f != NULL) {
        f->ticket = NULL;
    }
    free(ticket);
    return f;
}


/* -- lines -- */

static void
line_drop(mc_follow_t *f)
{
    line_t  *line = f->first;

    f->first = line->next;
    if (f->first == NULL) {
        f->last = &f->first;
    }
    f->n--;
    f->bytes -= line->size;
    free(line);
}


static void
lines_clear(mc_follow_t *f)
{
    while (f->first != NULL) {
        line_drop(f);
    }
    f->sent = 0;
}


static line_t *
line_create(const char *time, const char *stream, const char *text, size_t len)
{
    static const char  head[] = "{\"line\":\"", middle[] = "\",\"stream\":\"";
    size_t             escaped, size;
    line_t            *line;
    char              *p;

    if (len > LINE_BYTES) {
        len = LINE_BYTES;
        while (len > 0 && (text[len] & 0xc0) == 0x80) {
            len--;                  /* not within a character */
        }
    }
    while (len > 0 && text[len - 1] == '\r') {
        len--;
    }

    escaped = mc_json_escape(NULL, 0, text, len);
    size = sizeof(line_t) + strlen(time) + 1 + sizeof(head) + escaped
           + sizeof(middle) + strlen(stream) + 3;
    line = malloc(size);
    if (line == NULL) {
        return NULL;
    }
    line->next = NULL;
    line->size = size;
    line->data = stpcpy(line->time, time) + 1;
    p = stpcpy(line->data, head);
    mc_json_escape(p, escaped + 1, text, len);
    p = stpcpy(p + escaped, middle);
    p = stpcpy(p, stream);
    strcpy(p, "\"}");
    return line;
}


/* -- ends -- */

static void
tell_drained(mc_follow_t *f)
{
    void  (*drained)(void *) = f->drained;

    if (drained != NULL) {
        f->drained = NULL;
        uv_timer_stop(&f->drain_timer);
        drained(f->drained_data);
    }
}


static void
log_close(mc_follow_t *f)
{
    if (f->log != NULL) {
        f->app->engine->ops->log_stop(f->log);
        f->log = NULL;
    }
}


/* Forgets what it holds and begins again when Redis is there. */
static void
start_over(mc_follow_t *f)
{
    log_close(f);
    lines_clear(f);
    ticket_void(f);
    f->state = FOLLOW_WAITING;
    mc_metrics.log_pauses++;
}


static void
on_retry(uv_timer_t *timer)
{
    mc_follow_t  *f = timer->data;

    if (f->state == FOLLOW_WAITING) {
        follow_ask(f);
    }
}


static void
start_over_later(mc_follow_t *f)
{
    start_over(f);
    uv_timer_start(&f->timer, on_retry, RETRY_MS, 0);
}


/* The engine's stream is over and everything is written. */
static void
finished(mc_follow_t *f)
{
    if (f->exited) {
        f->ended_ms = f->run_ms;
    } else {
        /* Did the pod end, or only the connection? Look. */
        mc_app_enqueue_after(f->app, f->rec->id, 500);
    }
    tell_drained(f);
}


/* -- writing -- */

static void
on_written(void *data, bool ok)
{
    mc_follow_t  *f = ticket_redeem(data);
    unsigned      n;

    if (f == NULL) {
        return;
    }
    if (!ok) {
        start_over_later(f);
        return;
    }

    n = f->sent;
    f->sent = 0;
    mc_metrics.log_lines += n;
    while (n-- > 0) {
        line_drop(f);
    }
    if (f->n > 0) {
        flush(f);
    } else if (f->state == FOLLOW_PAUSED) {
        follow_read(f);
    } else if (f->state == FOLLOW_IDLE) {
        finished(f);
    }
}


static void
flush(mc_follow_t *f)
{
    mc_bus_line_t   lines[MC_BUS_LINES_MAX];
    unsigned        n = 0;

    if (f->ticket != NULL || f->n == 0) {
        return;
    }
    for (line_t *line = f->first; line != NULL && n < MC_BUS_LINES_MAX;
         line = line->next)
    {
        lines[n++] = (mc_bus_line_t) { line->time, line->data };
    }
    if (ticket_take(f) == NULL) {
        start_over_later(f);
        return;
    }
    f->sent = n;
    if (mc_bus_log_write(f->app->bus, f->rec->tenant, f->rec->id, lines, n,
                         on_written, f->ticket) != 0)
    {
        free(f->ticket);
        f->ticket = NULL;
        start_over_later(f);
    }
}


static void
on_flush(uv_timer_t *timer)
{
    flush(timer->data);
}


/* -- reading -- */

static void
on_end(mc_follow_t *f)
{
    log_close(f);
    f->state = FOLLOW_IDLE;
    if (f->n > 0) {
        flush(f);
    } else {
        finished(f);
    }
}


static void
on_line(void *data, const char *time, const char *stream, const char *text,
    size_t len)
{
    mc_follow_t  *f = data;
    int64_t       ns;
    line_t       *line;

    if (f->state != FOLLOW_READING) {
        return;                     /* stopped; it will be read again */
    }
    if (stream == NULL) {
        on_end(f);
        return;
    }

    ns = mc_time_parse_ns(time);
    if (ns >= 0 && ns <= f->since_ns) {
        return;                     /* the stream has it */
    }
    line = line_create(time, stream, text, len);
    if (line == NULL) {
        return;
    }
    *f->last = line;
    f->last = &line->next;
    f->n++;
    f->bytes += line->size;
    snprintf(f->since, sizeof(f->since), "%s", time);

    if (f->n >= LINES_MAX || f->bytes >= BYTES_MAX) {
        log_close(f);
        f->state = FOLLOW_PAUSED;
        mc_metrics.log_pauses++;
        flush(f);

    } else if (f->n >= MC_BUS_LINES_MAX) {
        flush(f);

    } else if (!uv_is_active((uv_handle_t *) &f->timer)) {
        uv_timer_start(&f->timer, on_flush, FLUSH_MS, 0);
    }
}


static void
follow_read(mc_follow_t *f)
{
    f->since_ns = f->since[0] == '\0' ? -1 : mc_time_parse_ns(f->since);
    f->exited = f->rec->obs.pod == MC_POD_EXITED;
    f->log = f->app->engine->ops->log_follow(f->app->engine, &f->rec->row.server,
                                             f->since, on_line, f);
    if (f->log == NULL) {
        start_over_later(f);
        return;
    }
    f->state = FOLLOW_READING;
}


static void
on_last(void *data, const char *time)
{
    mc_follow_t  *f = ticket_redeem(data);

    if (f == NULL) {
        return;
    }
    if (time == NULL) {
        start_over_later(f);
        return;
    }
    snprintf(f->since, sizeof(f->since), "%s", time);
    follow_read(f);
}


/* Asks the stream how far it got. Without Redis it waits for mc_logs_bus(). */
static void
follow_ask(mc_follow_t *f)
{
    f->state = FOLLOW_WAITING;
    if (f->ticket != NULL || !mc_bus_up(f->app->bus) || ticket_take(f) == NULL) {
        return;
    }
    if (mc_bus_log_last(f->app->bus, f->rec->id, on_last, f->ticket) != 0) {
        free(f->ticket);
        f->ticket = NULL;
        return;
    }
    f->state = FOLLOW_ASKING;
}


/* -- interface -- */

static mc_follow_t *
follow_create(mc_app_t *app, mc_record_t *rec)
{
    mc_follow_t  *f = calloc(1, sizeof(*f));

    if (f == NULL) {
        return NULL;
    }
    f->app = app;
    f->rec = rec;
    f->last = &f->first;
    uv_timer_init(app->loop, &f->timer);
    uv_timer_init(app->loop, &f->drain_timer);
    f->timer.data = f;
    f->drain_timer.data = f;
    rec->follow = f;
    return f;
}


void
mc_logs_follow(mc_app_t *app, mc_record_t *rec)
{
    mc_follow_t    *f = rec->follow;
    mc_pod_state_t  pod = rec->obs.pod;

    if (app->bus == NULL || (pod != MC_POD_RUNNING && pod != MC_POD_EXITED)) {
        return;
    }
    if (f == NULL && (f = follow_create(app, rec)) == NULL) {
        return;                     /* the next observation tries again */
    }
    if (f->state != FOLLOW_IDLE || f->n > 0
        || (pod == MC_POD_EXITED && f->ended_ms == rec->obs.started_ms))
    {
        return;
    }
    f->run_ms = rec->obs.started_ms;
    follow_ask(f);
}


static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}


static void
on_timer_closed(uv_handle_t *handle)
{
    mc_follow_t  *f = handle->data;

    uv_close((uv_handle_t *) &f->drain_timer, on_closed);
}


void
mc_logs_stop(mc_record_t *rec)
{
    mc_follow_t  *f = rec->follow;

    if (f == NULL) {
        return;
    }
    rec->follow = NULL;
    log_close(f);
    lines_clear(f);
    ticket_void(f);
    uv_close((uv_handle_t *) &f->timer, on_timer_closed);
}


static void
bus_changed(void *value, void *data)
{
    mc_follow_t  *f = ((mc_record_t *) value)->follow;

    if (f == NULL || f->state == FOLLOW_IDLE) {
        return;
    }
    if (!*(bool *) data) {
        if (f->state != FOLLOW_WAITING) {
            start_over(f);
        }
    } else if (f->state == FOLLOW_WAITING) {
        follow_ask(f);
    }
}


void
mc_logs_bus(mc_app_t *app, bool up)
{
    mc_map_each(app->records, bus_changed, &up);
}


static void
on_drain_timeout(uv_timer_t *timer)
{
    tell_drained(timer->data);
}


bool
mc_logs_drain(mc_record_t *rec, void (*done)(void *data), void *data)
{
    mc_follow_t  *f = rec->follow;

    if (f == NULL || !mc_bus_up(f->app->bus)
        || (f->state == FOLLOW_IDLE && f->n == 0))
    {
        return false;
    }
    f->drained = done;
    f->drained_data = data;
    uv_timer_start(&f->drain_timer, on_drain_timeout, DRAIN_MS, 0);
    return true;
}
