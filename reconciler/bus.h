/*
 * Redis as the platform uses it: hints and console commands in, statuses and
 * log lines out. Everything here may be lost without harm to any server: it
 * costs latency and history. A bus that is NULL is a Redis that is never there.
 */

#ifndef MC_BUS_H
#define MC_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct mc_bus_s  mc_bus_t;

/* A console command as it stood in the stream "cmd". */
typedef struct {
    const char  *id;                /* a UUID; the answer goes to reply:<id> */
    const char  *tenant;            /* UUIDs */
    const char  *server;
    const char  *line;
    int64_t      deadline_ms;       /* Unix time */
} mc_bus_command_t;

typedef struct {
    /* Look at this server now. */
    void  (*wake)(void *data, const char *tenant, const char *server);
    /* Valid during the call only. */
    void  (*command)(void *data, const mc_bus_command_t *cmd);
    /* Commands can be sent, or no longer. */
    void  (*change)(void *data, bool up);
} mc_bus_handlers_t;

typedef struct {
    const char  *url, *user, *password, *prefix;
    int64_t      log_lines;         /* about so many are kept for a server */
} mc_bus_conf_t;

/* The strings of conf must outlive it. NULL: no memory, or a bad URL. */
mc_bus_t *mc_bus_create(uv_loop_t *loop, const mc_bus_conf_t *conf,
    const mc_bus_handlers_t *handlers, void *data);
void mc_bus_destroy(mc_bus_t *bus);

bool mc_bus_up(const mc_bus_t *bus);

/* Tells everybody who looks at the server its status, a JSON text. seq and
 * time are those of the row that holds it. Dropped when Redis is away. */
void mc_bus_publish_status(mc_bus_t *bus, const char *tenant,
    const char *server, const char *seq, const char *time, const char *status);

/* The same of an event; seq is "ms-n". */
void mc_bus_publish_event(mc_bus_t *bus, const char *tenant, const char *server,
    const char *seq, const char *time, const char *event);

/* Answers a command with a JSON text. */
void mc_bus_reply(mc_bus_t *bus, const char *id, const char *json);

/* One line for the log: RFC 3339 time, and JSON. */
typedef struct {
    const char  *time;
    const char  *data;
} mc_bus_line_t;

#define MC_BUS_LINES_MAX  100       /* in one batch */

/* ok false: not known whether they were written. */
typedef void (*mc_bus_written_pt)(void *data, bool ok);

/* Appends the lines to the server's stream and publishes them, all or none.
 * -1 and no callback: Redis is away. */
int mc_bus_log_write(mc_bus_t *bus, const char *tenant, const char *server,
    const mc_bus_line_t *lines, unsigned n, mc_bus_written_pt cb, void *data);

/* time is that of the stream's last entry, "" when it is empty, NULL when
 * Redis did not answer. */
typedef void (*mc_bus_last_pt)(void *data, const char *time);
int mc_bus_log_last(mc_bus_t *bus, const char *server, mc_bus_last_pt cb,
    void *data);

/* Removes the stream of a server that is no more. */
void mc_bus_log_remove(mc_bus_t *bus, const char *server);

#endif
