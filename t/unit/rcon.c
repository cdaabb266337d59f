/*
 * RCON and the status ping against a game that answers as it is told, on the
 * same loop.
 */

#include <uv.h>
#include "mc_minecraft.h"
#include "ping.h"
#include "rcon.h"
#include "tap.h"

typedef enum {
    NORMAL,             /* answers, splits, knows the end packet */
    NO_END,             /* takes no notice of the end packet */
    DENY,
    SILENT,             /* accepts, says nothing */
    CLOSE,              /* closes when a command comes */
    GARBAGE,
    BYTEWISE            /* as NORMAL, one byte at a time */
} mode_t_;

static uv_loop_t   loop;
static uv_tcp_t    listener;
static uint16_t    port;
static mode_t_     mode;
static char        command[2048];
static const char *status_text;

typedef struct {
    uv_tcp_t  tcp;
    uint8_t   in[8192];
    size_t    len;
} peer_t;

typedef struct {
    uv_write_t  req;
    char        bytes[];
} out_t;

static void
freed(uv_handle_t *h)
{
    free(h);
}

static void
written(uv_write_t *req, int status)
{
    (void) status;
    free(req);
}

static void
send_bytes(peer_t *p, const void *bytes, size_t n)
{
    size_t    i, step = mode == BYTEWISE ? 1 : n;
    uv_buf_t  buf;
    out_t    *o;

    for (i = 0; i < n; i += step) {
        o = malloc(sizeof(*o) + step);
        memcpy(o->bytes, (const char *) bytes + i, step);
        buf = uv_buf_init(o->bytes, (unsigned) step);
        uv_write(&o->req, (uv_stream_t *) &p->tcp, &buf, 1, written);
    }
}

static void
packet(peer_t *p, int32_t id, int32_t type, const char *body)
{
    uint8_t  buf[2048];

    send_bytes(p, buf, mc_rcon_write(buf, sizeof(buf), id, type, body,
                                     strlen(body)));
}

static void
rcon_packet(peer_t *p, const mc_rcon_packet_t *in)
{
    switch (in->type) {

    case MC_RCON_LOGIN:
        packet(p, mode == DENY || in->len != 6
               || memcmp(in->body, "secret", 6) != 0 ? -1 : in->id,
               MC_RCON_COMMAND, "");
        return;

    case MC_RCON_COMMAND:
        snprintf(command, sizeof(command), "%.*s", (int) in->len, in->body);
        if (mode == CLOSE) {
            uv_close((uv_handle_t *) &p->tcp, freed);
            return;
        }
        packet(p, in->id, MC_RCON_RESPONSE, "one \xc2\xa7" "atwo ");
        packet(p, in->id, MC_RCON_RESPONSE, "three");
        return;

    default:
        if (mode != NO_END) {
            packet(p, in->id, MC_RCON_RESPONSE, "Unknown request 64");
        }
    }
}

static void
status_reply(peer_t *p)
{
    uint8_t  buf[4096], body[4096], len[5];
    size_t   n = strlen(status_text), k = 0, m = 0;

    body[k++] = 0;
    k += mc_varint_write(body + k, (uint32_t) n);
    memcpy(body + k, status_text, n);
    k += n;
    m = mc_varint_write(len, (uint32_t) k);
    memcpy(buf, len, m);
    memcpy(buf + m, body, k);
    send_bytes(p, buf, m + k);
}

static void
alloc_cb(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
    peer_t  *p = (peer_t *) h;

    (void) n;
    *buf = uv_buf_init((char *) p->in + p->len,
                       (unsigned) (sizeof(p->in) - p->len));
}

static void
read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    peer_t            *p = (peer_t *) s;
    mc_rcon_packet_t   in;
    int                k;

    (void) buf;
    if (n < 0) {
        uv_close((uv_handle_t *) s, freed);
        return;
    }
    p->len += (size_t) n;
    if (mode == SILENT) {
        return;
    }
    if (mode == GARBAGE) {
        send_bytes(p, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        return;
    }
    if (status_text) {
        status_reply(p);
        return;
    }
    while ((k = mc_rcon_read(p->in, p->len, &in)) > 0) {
        rcon_packet(p, &in);
        if (uv_is_closing((uv_handle_t *) s)) {
            return;
        }
        p->len -= (size_t) k;
        memmove(p->in, p->in + k, p->len);
    }
}

static void
connection(uv_stream_t *server, int status)
{
    peer_t  *p = calloc(1, sizeof(*p));

    (void) status;
    uv_tcp_init(&loop, &p->tcp);
    uv_accept(server, (uv_stream_t *) &p->tcp);
    uv_tcp_nodelay(&p->tcp, 1);
    uv_read_start((uv_stream_t *) &p->tcp, alloc_cb, read_cb);
}

static void
start(void)
{
    struct sockaddr_in  in;
    int                 len = sizeof(in);

    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, &in);
    uv_tcp_bind(&listener, (struct sockaddr *) &in, 0);
    uv_listen((uv_stream_t *) &listener, 16, connection);
    uv_tcp_getsockname(&listener, (struct sockaddr *) &in, &len);
    port = ntohs(in.sin_port);
    uv_unref((uv_handle_t *) &listener);
}


/* -- the callers -- */

static int               called;
static mc_rcon_status_t  status;
static char              output[4096];
static int               got_pong;
static mc_pong_t         pong;

static void
on_rcon(void *data, mc_rcon_status_t st, const char *out, size_t len,
    const char *message)
{
    (void) data;
    (void) message;
    called++;
    status = st;
    snprintf(output, sizeof(output), "%.*s", (int) len, out);
}

static void
rcon(mode_t_ m, const char *password, const char *cmd, unsigned timeout)
{
    mode = m;
    called = 0;
    command[0] = '\0';
    mc_rcon_exec(&loop, "127.0.0.1", port, password, cmd, timeout, on_rcon,
                 NULL);
    ok(called == 0, "not called from within");
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 1, "called once");
}

static void
rcon_tests(void)
{
    char  long_command[2000];

    rcon(NORMAL, "secret", "list", 5000);
    is_int(status, MC_RCON_OK, "a command");
    is(command, "list", "reaches the game");
    is(output, "one two three", "its answer is put together, without codes");
    rcon(BYTEWISE, "secret", "list", 5000);
    is(output, "one two three", "the same byte by byte");
    rcon(NO_END, "secret", "list", 5000);
    is(output, "one two three", "a game that knows no end packet");
    rcon(DENY, "secret", "list", 5000);
    is_int(status, MC_RCON_DENIED, "a password that is refused");
    is(command, "", "the command stays here");
    rcon(NORMAL, "wrong", "list", 5000);
    is_int(status, MC_RCON_DENIED, "a wrong one");
    rcon(CLOSE, "secret", "stop", 5000);
    is_int(status, MC_RCON_OK, "\"stop\" is answered by the end");
    rcon(SILENT, "secret", "list", 100);
    is_int(status, MC_RCON_TIMEOUT, "silence");
    rcon(GARBAGE, "secret", "list", 5000);
    is_int(status, MC_RCON_INVALID, "something else listens there");
    memset(long_command, 'x', sizeof(long_command));
    long_command[sizeof(long_command) - 1] = '\0';
    rcon(NORMAL, "secret", long_command, 5000);
    is_int(status, MC_RCON_INVALID, "a command that is too long");
}

static void
on_ping(void *data, const mc_pong_t *p, const char *message)
{
    (void) data;
    called++;
    got_pong = p != NULL;
    if (p) {
        pong = *p;
        is(message, "", "no message");
    } else {
        ok(*message, "message: %s", message);
    }
}

static void
ping(mode_t_ m, const char *text)
{
    mode = m;
    called = 0;
    status_text = text;
    mc_ping(&loop, "127.0.0.1", port, 200, on_ping, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 1, "called once");
    status_text = NULL;
}

static void
ping_tests(void)
{
    ping(NORMAL, "{\"version\":{\"name\":\"1.20.4\",\"protocol\":765},"
         "\"players\":{\"max\":7,\"online\":3}}");
    ok(got_pong && pong.online == 3 && pong.max == 7, "players");
    is(pong.version, "1.20.4", "version");
    is_int(pong.protocol, 765, "protocol");
    ping(BYTEWISE, "{\"description\":\"x\"}");
    ok(got_pong && pong.online == -1 && pong.max == -1, "hidden players");
    ping(NORMAL, "{\"players\":{\"max\":1e99,\"online\":-5},"
         "\"version\":{\"name\":7}}");
    ok(got_pong && pong.online == -1 && pong.version[0] == '\0',
       "numbers that make no sense");
    ping(NORMAL, "{\"players\"");
    ok(!got_pong, "broken JSON");
    ping(NORMAL, "[]");
    ok(!got_pong, "no object");
    ping(GARBAGE, "");
    ok(!got_pong, "something else listens there");
    ping(SILENT, "");
    ok(!got_pong, "silence");
}

static void
nobody(void)
{
    mc_ping_t  *p;
    mc_rcon_t  *r;

    uv_ref((uv_handle_t *) &listener);
    uv_close((uv_handle_t *) &listener, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    rcon(NORMAL, "secret", "list", 5000);
    is_int(status, MC_RCON_UNREACHABLE, "nobody listens");
    called = 0;
    mc_rcon_exec(&loop, "no address", 1, "x", "y", 1000, on_rcon, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 1, "no address: called");
    is_int(status, MC_RCON_UNREACHABLE, "as unreachable");
    called = 0;
    p = mc_ping(&loop, "127.0.0.1", port, 1000, on_ping, NULL);
    r = mc_rcon_exec(&loop, "127.0.0.1", port, "x", "y", 1000, on_rcon, NULL);
    mc_ping_cancel(p);
    mc_rcon_cancel(r);
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 0, "cancelled ones are not called");
}

int
main(void)
{
    start();
    rcon_tests();
    ping_tests();
    nobody();
    is_int(uv_loop_close(&loop), 0, "nothing is left open");
    return done_testing();
}
