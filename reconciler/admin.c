/*
 * A small HTTP server: it reads a request's head, answers and closes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin.h"
#include "metrics.h"

#define REQUEST_MAX      4096
#define CONNECTIONS_MAX  32
#define TIMEOUT_MS       5000

typedef struct client_s  client_t;

struct client_s {
    client_t     *next, **prev;
    mc_admin_t   *admin;
    uv_tcp_t      tcp;
    uv_timer_t    timer;
    uv_write_t    write;
    size_t        len;
    char          request[REQUEST_MAX + 1];
    char          head[256];
    char         *body;
    int           handles;          /* open ones */
};

struct mc_admin_s {
    uv_tcp_t            listener;
    mc_admin_ready_pt   ready;
    void               *data;
    client_t           *clients;
    unsigned            n;
};


static void
handle_closed(uv_handle_t *handle)
{
    client_t  *c = handle->data;

    if (--c->handles == 0) {
        free(c->body);
        free(c);
    }
}


static void
client_close(client_t *c)
{
    if (uv_is_closing((uv_handle_t *) &c->tcp)) {
        return;
    }
    *c->prev = c->next;
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    c->admin->n--;
    uv_close((uv_handle_t *) &c->tcp, handle_closed);
    uv_close((uv_handle_t *) &c->timer, handle_closed);
}


static void
on_timeout(uv_timer_t *timer)
{
    client_close(timer->data);
}


static void
on_sent(uv_write_t *write, int status)
{
    (void) status;
    client_close(write->data);
}


/* body is freed when it was sent. */
static void
answer(client_t *c, const char *status, const char *type, char *body)
{
    size_t    len = body == NULL ? 0 : strlen(body);
    bool      head_only = strncmp(c->request, "HEAD ", 5) == 0;
    uv_buf_t  bufs[2];

    c->body = body;
    snprintf(c->head, sizeof(c->head), "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
             "Content-Length: %zu\r\nCache-Control: no-store\r\n"
             "%sConnection: close\r\n\r\n", status, type, len,
             strncmp(status, "405", 3) == 0 ? "Allow: GET, HEAD\r\n" : "");
    bufs[0] = uv_buf_init(c->head, (unsigned) strlen(c->head));
    bufs[1] = uv_buf_init(body, (unsigned) len);
    uv_read_stop((uv_stream_t *) &c->tcp);
    c->write.data = c;

    if (uv_write(&c->write, (uv_stream_t *) &c->tcp, bufs,
                 len > 0 && !head_only ? 2 : 1, on_sent) != 0)
    {
        client_close(c);
    }
}


static void
answer_text(client_t *c, const char *status, const char *text)
{
    answer(c, status, "text/plain; charset=utf-8", strdup(text));
}


static void
respond(client_t *c)
{
    mc_admin_t   *admin = c->admin;
    char          why[256] = "", text[300];
    const char   *path;
    char         *metrics;

    if (strncmp(c->request, "GET ", 4) != 0 && strncmp(c->request, "HEAD ", 5) != 0) {
        answer_text(c, "405 Method Not Allowed", "only GET and HEAD\n");
        return;
    }
    path = strchr(c->request, ' ') + 1;
    c->request[strcspn(c->request, "\r\n")] = '\0';

#define IS(name)  (strncmp(path, name, sizeof(name) - 1) == 0                  \
                   && strchr(" ?", path[sizeof(name) - 1]) != NULL)

    if (IS("/livez")) {
        answer_text(c, "200 OK", "ok\n");

    } else if (IS("/readyz")) {
        if (admin->ready(admin->data, why, sizeof(why))) {
            answer_text(c, "200 OK", "ok\n");
        } else {
            snprintf(text, sizeof(text), "%s\n", why);
            answer_text(c, "503 Service Unavailable", text);
        }

    } else if (IS("/metrics")) {
        metrics = mc_metrics_text();
        if (metrics == NULL) {
            answer_text(c, "503 Service Unavailable", "out of memory\n");
        } else {
            answer(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8",
                   metrics);
        }

    } else {
        answer_text(c, "404 Not Found", "/livez, /readyz, /metrics\n");
    }
}


static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    client_t  *c = handle->data;

    (void) suggested;
    *buf = uv_buf_init(c->request + c->len, (unsigned) (REQUEST_MAX - c->len));
}


static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    client_t  *c = stream->data;

    (void) buf;
    if (n < 0) {
        client_close(c);
        return;
    }
    c->len += (size_t) n;
    c->request[c->len] = '\0';

    if (strstr(c->request, "\r\n\r\n") != NULL
        || strstr(c->request, "\n\n") != NULL)
    {
        respond(c);
    } else if (c->len == REQUEST_MAX) {
        answer_text(c, "431 Request Header Fields Too Large", "too long\n");
    }
}


static void
on_connection(uv_stream_t *listener, int status)
{
    mc_admin_t  *admin = listener->data;
    client_t    *c;

    if (status != 0 || (c = calloc(1, sizeof(*c))) == NULL) {
        return;
    }
    c->admin = admin;
    c->handles = 2;
    uv_tcp_init(listener->loop, &c->tcp);
    uv_timer_init(listener->loop, &c->timer);
    c->tcp.data = c;
    c->timer.data = c;
    c->next = admin->clients;
    c->prev = &admin->clients;
    if (c->next != NULL) {
        c->next->prev = &c->next;
    }
    admin->clients = c;
    admin->n++;

    if (uv_accept(listener, (uv_stream_t *) &c->tcp) != 0
        || admin->n > CONNECTIONS_MAX
        || uv_read_start((uv_stream_t *) &c->tcp, on_alloc, on_read) != 0)
    {
        client_close(c);
        return;
    }
    uv_timer_start(&c->timer, on_timeout, TIMEOUT_MS, 0);
}


static void
listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}


mc_admin_t *
mc_admin_create(uv_loop_t *loop, const char *host, uint16_t port,
    mc_admin_ready_pt ready, void *data, char *err, size_t errlen)
{
    mc_admin_t               *admin = calloc(1, sizeof(*admin));
    struct sockaddr_storage   addr;
    int                       rc;

    if (admin == NULL) {
        snprintf(err, errlen, "no memory");
        return NULL;
    }
    admin->ready = ready;
    admin->data = data;
    uv_tcp_init(loop, &admin->listener);
    admin->listener.data = admin;

    rc = uv_ip4_addr(host, port, (struct sockaddr_in *) &addr);
    if (rc != 0) {
        rc = uv_ip6_addr(host, port, (struct sockaddr_in6 *) &addr);
    }
    if (rc == 0) {
        rc = uv_tcp_bind(&admin->listener, (struct sockaddr *) &addr, 0);
    }
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *) &admin->listener, 16, on_connection);
    }
    if (rc != 0) {
        snprintf(err, errlen, "cannot listen on %s:%u (admin_listen): %s", host,
                 port, uv_strerror(rc));
        uv_close((uv_handle_t *) &admin->listener, listener_closed);
        return NULL;
    }
    return admin;
}


void
mc_admin_destroy(mc_admin_t *admin)
{
    if (admin == NULL) {
        return;
    }
    while (admin->clients != NULL) {
        client_close(admin->clients);
    }
    uv_close((uv_handle_t *) &admin->listener, listener_closed);
}
