/*
 * A command in a pod's container, over a WebSocket. Every message begins with
 * the number of a channel; the last one is a Status on channel 3.
 */

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>
#include "arena.h"
#include "http.h"
#include "kube_dial.h"
#include "kube_stream.h"
#include "manifest.h"

#define OUT_MAX      (64 * 1024)
#define HEAD_MAX     (80 * 1024)        /* of the request, of the answer */
#define MESSAGE_MAX  (1024 * 1024)
#define WS_GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { CH_STDIN, CH_STDOUT, CH_STDERR, CH_STATUS, CH_CLOSE = 255 };

typedef struct {
    char    p[OUT_MAX + 1];
    size_t  len;
} output_t;

struct mc_kube_exec_s {
    mc_kube_dial_t            *dial;
    uv_timer_t                 deadline;
    wslay_event_context_ptr    ws;      /* NULL: not upgraded yet */
    char                       key[32];         /* Sec-WebSocket-Key */
    char                      *input;
    char                       head[HEAD_MAX];
    size_t                     len, at;
    bool                       asked;   /* the request is out */
    bool                       closed;
    output_t                   out, err;
    mc_kube_exec_pt            done;
    void                      *data;
};


static void
deadline_closed(uv_handle_t *h)
{
    mc_kube_exec_t  *x = h->data;

    if (x->ws) {
        wslay_event_context_free(x->ws);
    }
    free(x->input);
    explicit_bzero(x->head, sizeof(x->head));
    free(x);
}


void
mc_kube_exec_cancel(mc_kube_exec_t *x)
{
    if (x->closed) {
        return;
    }
    x->closed = true;
    mc_kube_dial_close(x->dial);
    uv_close((uv_handle_t *) &x->deadline, deadline_closed);
}


static void
finish(mc_kube_exec_t *x, int code, const char *error)
{
    if (x->closed) {
        return;
    }
    mc_kube_exec_cancel(x);
    x->done(x->data, code, x->out.p, x->out.len, x->err.p, error);
}


static void
deadline_cb(uv_timer_t *t)
{
    finish(t->data, -1, "the command does not end in time");
}


/* -- channels -- */

static void
keep(output_t *o, const uint8_t *p, size_t len)
{
    size_t  room = OUT_MAX - o->len;

    if (len > room) {
        len = room;
    }
    memcpy(o->p + o->len, p, len);
    o->len += len;
    o->p[o->len] = '\0';
}


static void
on_status(mc_kube_exec_t *x, const char *text, size_t len)
{
    mc_arena_t       *arena = mc_arena_create();
    mc_alloc_t        a;
    mc_json_error_t   err;
    mc_json_t        *v, *cause;
    const char       *code = NULL;

    if (arena == NULL) {
        finish(x, -1, "out of memory");
        return;
    }
    a = mc_arena_allocator(arena);
    v = mc_json_parse(&a, text, len, &err);
    cause = mc_json_at(v, "details.causes");
    for (cause = cause ? cause->child : NULL; cause; cause = cause->next) {
        if (strcmp(mc_json_str(mc_json_get(cause, "reason"), ""), "ExitCode")
            == 0)
        {
            code = mc_json_str(mc_json_get(cause, "message"), NULL);
        }
    }
    if (strcmp(mc_json_str(mc_json_get(v, "status"), ""), "Success") == 0) {
        finish(x, 0, "");

    } else if (code) {
        finish(x, atoi(code), "");

    } else {
        finish(x, -1, mc_json_str(mc_json_get(v, "message"),
                                  "the API does not say how it ended"));
    }
    mc_arena_destroy(arena);
}


static void
on_message(wslay_event_context_ptr ws,
    const struct wslay_event_on_msg_recv_arg *m, void *data)
{
    mc_kube_exec_t  *x = data;

    (void) ws;
    if (x->closed || m->opcode != WSLAY_BINARY_FRAME || m->msg_length < 1) {
        return;
    }
    switch (m->msg[0]) {
    case CH_STDOUT:
        keep(&x->out, m->msg + 1, m->msg_length - 1);
        break;
    case CH_STDERR:
        keep(&x->err, m->msg + 1, m->msg_length - 1);
        break;
    case CH_STATUS:
        on_status(x, (const char *) m->msg + 1, m->msg_length - 1);
        break;
    default:
        break;
    }
}


/* -- wslay's bytes -- */

static ssize_t
ws_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags,
    void *data)
{
    mc_kube_exec_t  *x = data;
    ptrdiff_t        n;

    (void) flags;
    if (x->closed) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (x->at < x->len) {               /* came with the answer's head */
        n = (ptrdiff_t) (x->len - x->at < len ? x->len - x->at : len);
        memcpy(buf, x->head + x->at, (size_t) n);
        x->at += (size_t) n;
        return n;
    }
    n = mc_kube_dial_read(x->dial, buf, len);
    if (n <= 0) {
        wslay_event_set_error(ws, n == 0 ? WSLAY_ERR_WOULDBLOCK
                                         : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return n;
}


static ssize_t
ws_send(wslay_event_context_ptr ws, const uint8_t *p, size_t len, int flags,
    void *data)
{
    mc_kube_exec_t  *x = data;
    ptrdiff_t        n = mc_kube_dial_write(x->dial, p, len);

    (void) flags;
    if (n <= 0) {
        wslay_event_set_error(ws, n == 0 ? WSLAY_ERR_WOULDBLOCK
                                         : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return n;
}


static int
ws_mask(wslay_event_context_ptr ws, uint8_t *buf, size_t len, void *data)
{
    (void) ws;
    (void) data;
    return RAND_bytes(buf, (int) len) == 1 ? 0 : -1;
}


static void
ws_run(mc_kube_exec_t *x)
{
    int  rc = wslay_event_recv(x->ws);

    if (x->closed) {
        return;
    }
    if (rc == 0) {
        rc = wslay_event_send(x->ws);
    }
    if (rc != 0 || wslay_event_get_close_received(x->ws)) {
        finish(x, -1, "the connection ended before the command");
        return;
    }
    mc_kube_dial_watch(x->dial, wslay_event_want_write(x->ws));
}


static int
ws_say(mc_kube_exec_t *x, uint8_t channel, const char *text, size_t len)
{
    struct wslay_event_msg   m = { .opcode = WSLAY_BINARY_FRAME };
    uint8_t                 *p = malloc(len + 1);
    int                      rc;

    if (p == NULL) {
        return -1;
    }
    p[0] = channel;
    memcpy(p + 1, text, len);
    m.msg = p;
    m.msg_length = len + 1;
    rc = wslay_event_queue_msg(x->ws, &m);
    free(p);
    return rc;
}


/* -- the handshake, RFC 6455 section 4 -- */

static bool
accept_is(const mc_kube_exec_t *x, const char *accept)
{
    unsigned char  digest[EVP_MAX_MD_SIZE], want[64];
    char           text[sizeof(x->key) + sizeof(WS_GUID)];
    unsigned       n = 0;

    snprintf(text, sizeof(text), "%s" WS_GUID, x->key);
    if (EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL) != 1) {
        return false;
    }
    EVP_EncodeBlock(want, digest, (int) n);
    return strncmp(accept, (char *) want, strlen((char *) want)) == 0;
}


/* A header's value, up to the end of everything; "" when it is not there. */
static const char *
header(const char *head, const char *name)
{
    const char  *p = strcasestr(head, name);

    if (p == NULL) {
        return "";
    }
    p += strlen(name);
    return p + strspn(p, " ");
}


static void
refused(mc_kube_exec_t *x, const char *body)
{
    mc_arena_t       *arena = mc_arena_create();
    char              error[400];
    mc_alloc_t        a;
    mc_json_error_t   err;
    mc_json_t        *v;

    snprintf(error, sizeof(error), "the Kubernetes API answers %.3s",
             strlen(x->head) > 12 ? x->head + 9 : "nonsense");
    if (arena) {
        a = mc_arena_allocator(arena);
        v = mc_json_parse(&a, body, strlen(body), &err);
        snprintf(error, sizeof(error), "%s",
                 mc_json_str(mc_json_get(v, "message"), error));
        mc_arena_destroy(arena);
    }
    finish(x, -1, error);
}


static void
upgraded(mc_kube_exec_t *x, const char *protocol)
{
    static const struct wslay_event_callbacks  callbacks = {
        .recv_callback = ws_recv, .send_callback = ws_send,
        .genmask_callback = ws_mask, .on_msg_recv_callback = on_message
    };
    bool  v5 = strncmp(protocol, "v5.channel.k8s.io", 17) == 0;

    if (wslay_event_context_client_init(&x->ws, &callbacks, x) != 0) {
        x->ws = NULL;
        finish(x, -1, "out of memory");
        return;
    }
    wslay_event_config_set_max_recv_msg_length(x->ws, MESSAGE_MAX);
    if (x->input && (ws_say(x, CH_STDIN, x->input, strlen(x->input)) != 0
                     || (v5 && ws_say(x, CH_CLOSE, "\0", 1) != 0)))
    {
        finish(x, -1, "out of memory");
        return;
    }
    ws_run(x);
}


/* Whether all of an answer that is no upgrade is there. */
static bool
whole(const mc_kube_exec_t *x, const char *body)
{
    const char  *length = header(x->head, "\r\nContent-Length:");

    return *length && strlen(body) >= strtoul(length, NULL, 10);
}


static void
read_answer(mc_kube_exec_t *x)
{
    ptrdiff_t    n = -1;
    char        *end;
    const char  *protocol;

    while (x->len < sizeof(x->head) - 1
           && (n = mc_kube_dial_read(x->dial, x->head + x->len,
                                     sizeof(x->head) - 1 - x->len)) > 0)
    {
        x->len += (size_t) n;
        x->head[x->len] = '\0';
    }
    end = strstr(x->head, "\r\n\r\n");
    if (end == NULL) {
        if (n < 0) {
            finish(x, -1, "the connection ended during the handshake");
        }
        return;
    }
    if (strncmp(x->head, "HTTP/1.1 101", 12) != 0) {
        if (n < 0 || whole(x, end + 4)) {
            refused(x, end + 4);
        }
        return;
    }
    end[2] = '\0';
    protocol = header(x->head, "\r\nSec-WebSocket-Protocol:");
    if (!accept_is(x, header(x->head, "\r\nSec-WebSocket-Accept:"))
        || (strncmp(protocol, "v5.channel.k8s.io", 17) != 0
            && strncmp(protocol, "v4.channel.k8s.io", 17) != 0))
    {
        finish(x, -1, "the handshake makes no sense");
        return;
    }
    x->at = (size_t) (end + 4 - x->head);
    upgraded(x, protocol);
}


static void
on_ready(void *data)
{
    mc_kube_exec_t  *x = data;
    ptrdiff_t        n;

    if (x->ws) {
        ws_run(x);
        return;
    }
    while (!x->asked) {
        n = mc_kube_dial_write(x->dial, x->head + x->at, x->len - x->at);
        if (n <= 0) {
            if (n < 0) {
                finish(x, -1, "the connection ended during the handshake");
            }
            return;
        }
        x->at += (size_t) n;
        if (x->at == x->len) {
            x->asked = true;
            explicit_bzero(x->head, x->len);
            x->len = x->at = 0;
            mc_kube_dial_watch(x->dial, false);
        }
    }
    read_answer(x);
}


static void
on_connected(void *data, const char *request)
{
    mc_kube_exec_t  *x = data;

    x->len = (size_t) snprintf(x->head, sizeof(x->head), "%s"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
        "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n"
        "\r\n", request, x->key);
    on_ready(x);
}


static void
on_failed(void *data, const char *error)
{
    finish(data, -1, error);
}


/* -- life -- */

/* The path with the command. 0, or -1: too long. */
static int
exec_path(char *path, size_t size, const char *ns, const char *pod,
    const char *const *argv, bool input)
{
    char            query[16384], word[8192];
    size_t          len;
    mc_kube_call_t  call = {
        .method = "GET", .type = &mc_kube_pod, .ns = ns, .name = pod,
        .subresource = "exec", .query = query
    };

    len = (size_t) snprintf(query, sizeof(query), "container=" MC_CONTAINER
                            "&stdout=1&stderr=1%s", input ? "&stdin=1" : "");
    for ( ; *argv; argv++) {
        if (mc_http_escape(word, sizeof(word), *argv) >= sizeof(word)) {
            return -1;
        }
        len += (size_t) snprintf(query + len, sizeof(query) - len,
                                 "&command=%s", word);
        if (len >= sizeof(query)) {
            return -1;
        }
    }
    return mc_kube_path(path, size, &call) < size ? 0 : -1;
}


mc_kube_exec_t *
mc_kube_exec(mc_kube_t *kube, uv_loop_t *loop, const char *ns,
    const char *pod, const char *const *argv, const char *input,
    unsigned timeout_ms, mc_kube_exec_pt done, void *data)
{
    mc_kube_exec_t           *x = calloc(1, sizeof(*x));
    unsigned char             random[16];
    char                      path[20480];
    mc_kube_dial_handlers_t   on = { on_connected, on_ready, on_failed, x };

    if (x == NULL || RAND_bytes(random, sizeof(random)) != 1
        || exec_path(path, sizeof(path), ns, pod, argv, input != NULL) != 0)
    {
        free(x);
        return NULL;
    }
    EVP_EncodeBlock((unsigned char *) x->key, random, sizeof(random));
    x->done = done;
    x->data = data;
    x->input = input ? strdup(input) : NULL;
    x->dial = input && x->input == NULL ? NULL
                                        : mc_kube_dial(kube, loop, path, &on);
    if (x->dial == NULL) {
        free(x->input);
        free(x);
        return NULL;
    }
    uv_timer_init(loop, &x->deadline);
    x->deadline.data = x;
    uv_timer_start(&x->deadline, deadline_cb, timeout_ms, 0);
    return x;
}
