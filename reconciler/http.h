/*
 * HTTP requests on a libuv loop: libcurl's multi interface underneath, over a
 * Unix socket or TCP with or without TLS. Requests beyond the limit wait in a
 * queue with a cap of its own; a full queue refuses.
 */

#ifndef MC_HTTP_H
#define MC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

typedef struct mc_http_s      mc_http_t;
typedef struct mc_http_req_s  mc_http_req_t;

/* What TLS needs, as PEM text; a length of 0: none. */
typedef struct {
    const char  *ca;            /* none: the system's authorities */
    size_t       ca_len;
    const char  *cert;          /* of the client, with its key */
    size_t       cert_len;
    const char  *key;
    size_t       key_len;
} mc_http_tls_t;

typedef struct {
    const char  *base;          /* "http://d/v4.0.0/libpod", no "/" at the end */
    const char  *unix_socket;   /* NULL: TCP */
    const char  *connect_to;    /* "host:port" instead of the URL's, or NULL */
    const char  *host;          /* the header Host instead of the URL's */
    const char  *proxy;         /* NULL: none, whatever the environment says */
    const char  *user_agent;
    unsigned     parallel;      /* requests under way, streams not counted; 16 */
    unsigned     queue;         /* requests waiting; 1024 */
    unsigned     streams;       /* streams and slow ones at once; 1024 */
} mc_http_conf_t;

/* What came back. status 0: no answer; then error says why ("" otherwise).
 * body is NUL-terminated and empty for a stream that was a success (2xx). */
typedef struct {
    long         status;
    const char  *error;
    bool         timeout;
    bool         refused;       /* nobody listens there */
    int          retry_after_s; /* of the header, 0: none */
    const char  *warning;       /* texts of the Warning headers, "" none */
    const char  *body;
    size_t       len;
} mc_http_reply_t;

/* Called once from the loop, never from within mc_http_send(). */
typedef void (*mc_http_done_pt)(void *data, const mc_http_reply_t *reply);

/* A piece of a stream's body, cut anywhere. Returns 0 to go on, -1 to end the
 * stream (done follows, with an error). */
typedef int (*mc_http_data_pt)(void *data, const char *p, size_t len);

typedef struct {
    const char        *method;      /* "GET" */
    const char        *path;        /* after base: "/pods/json", escaped */
    const char        *body;        /* NULL: none; copied */
    size_t             body_len;
    const char        *type;        /* Content-Type of the body */
    const char        *accept;      /* or NULL */
    const char        *bearer;      /* token for Authorization, or NULL */
    unsigned           timeout_ms;  /* for the whole, the queue included; 0
                                     * only for a stream */
    size_t             max_body;    /* longer answers fail; 0: 4 MB */
    bool               slow;        /* waits long: takes no place of others */
    mc_http_data_pt    on_data;     /* set: a stream */
    mc_http_done_pt    on_done;
    void              *data;
} mc_http_call_t;

/* NULL when memory is out. conf is copied. */
mc_http_t *mc_http_create(uv_loop_t *loop, const mc_http_conf_t *conf);

/* TLS of the connections made from now on; copied. 0, or -1: no memory. */
int mc_http_set_tls(mc_http_t *http, const mc_http_tls_t *tls);

/* Tells an easy handle that somebody else drives where the server is and what
 * TLS needs; headers the server wants are appended to *headers, which belongs
 * to the caller. The handle must not be used after mc_http_destroy(). 0, or
 * -1: no memory. */
struct curl_slist;
int mc_http_setup(mc_http_t *http, void *easy, const char *path,
    struct curl_slist **headers);

/* Drops every request without a callback and frees the client once the loop
 * has closed its handles. */
void mc_http_destroy(mc_http_t *http);

/* Everything in call is copied. NULL when the queue is full or memory is out:
 * then no callback comes. */
mc_http_req_t *mc_http_send(mc_http_t *http, const mc_http_call_t *call);

/* The callbacks do not come any more. Not after on_done; allowed from within
 * on_data. */
void mc_http_cancel(mc_http_req_t *req);

/* Escapes s for one segment or query value of a URL, as snprintf(). */
size_t mc_http_escape(char *buf, size_t size, const char *s);

/* Requests since the start, for metrics: index is the status / 100, 0 for no
 * answer at all. */
void mc_http_counters(const mc_http_t *http, unsigned long counts[6]);

#endif
