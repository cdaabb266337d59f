/*
 * Shared by http.c, which runs requests, and http_request.c, which describes
 * them to libcurl.
 */

#ifndef MC_HTTP_PRIVATE_H
#define MC_HTTP_PRIVATE_H

#include <curl/curl.h>
#include "http.h"

typedef enum { WAITING, ACTIVE, DONE } req_state_t;

struct mc_http_req_s {
    mc_http_t          *http;
    mc_http_req_t      *prev, *next;    /* all of a client, oldest first */
    req_state_t         state;
    bool                cancelled;
    bool                slow;           /* a stream, or a slow one */
    CURL               *easy;
    struct curl_slist  *headers;
    char               *sent;           /* body of the request */
    size_t              sent_len;
    char               *body;           /* of the answer */
    size_t              len, size, max;
    bool                too_big;
    bool                refused_data;   /* on_data wants no more */
    unsigned            timeout_ms;
    uint64_t            deadline;       /* loop time, 0: none */
    mc_http_data_pt     on_data;
    mc_http_done_pt     on_done;
    void               *data;
    char                error[CURL_ERROR_SIZE];
};

struct mc_http_s {
    uv_loop_t          *loop;
    CURLM              *multi;
    uv_timer_t          timer;          /* libcurl's */
    uv_timer_t          sweep;          /* deadlines of those who wait */
    unsigned            handles;        /* open ones, this one's life */
    unsigned            depth;          /* inside libcurl or a callback */
    bool                destroyed;
    mc_http_req_t      *first, *last;
    unsigned            active, waiting, slow;
    unsigned            parallel, queue, streams;
    unsigned long       counts[6];
    char               *base, *unix_socket, *host, *proxy, *agent;
    struct curl_slist  *connect_to;
    struct curl_blob    ca, cert, key;  /* copies; data NULL: none */
};

/* Frees the TLS material, and wipes it. */
void mc_http_clear_tls(mc_http_t *http);

/* Makes the easy handle of a request. 0, or -1: no memory. */
int mc_http_prepare(mc_http_req_t *req, const mc_http_call_t *call);

/* Frees what mc_http_prepare() made, and wipes it. */
void mc_http_unprepare(mc_http_req_t *req);

/* Appends to the answer's body. 0, or -1: too long, or no memory. */
int mc_http_keep(mc_http_req_t *req, const char *p, size_t n);

#endif
