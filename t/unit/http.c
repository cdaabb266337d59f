/*
 * The HTTP client against a server on the same loop, over a Unix socket.
 */

#include <unistd.h>
#include "http.h"
#include "tap.h"

static uv_loop_t   loop;
static uv_pipe_t   listener;
static char        path[64];
static unsigned    open_now, open_max;
static char        request[4096];       /* the last one */

typedef struct {
    uv_pipe_t  pipe;
    char       in[8192];
    size_t     len;
    bool       counted;
} peer_t;

typedef struct {
    uv_write_t  req;
    char        bytes[];
} out_t;

static void
freed(uv_handle_t *h)
{
    peer_t  *p = (peer_t *) h;

    open_now -= p->counted;
    free(p);
}

static void
written(uv_write_t *req, int status)
{
    (void) status;
    free(req);
}

static void
put(peer_t *p, const char *s)
{
    size_t     n = strlen(s);
    out_t     *o = malloc(sizeof(*o) + n);
    uv_buf_t   buf;

    memcpy(o->bytes, s, n);
    buf = uv_buf_init(o->bytes, (unsigned) n);
    uv_write(&o->req, (uv_stream_t *) &p->pipe, &buf, 1, written);
}

static void
answer(peer_t *p)
{
    static char  big[20000];
    char         text[128];

    snprintf(request, sizeof(request), "%.4000s", p->in);
    if (strncmp(p->in + 4, "/b/big", 6) == 0) {
        memset(big, 'x', sizeof(big) - 1);
        put(p, "HTTP/1.1 200 OK\r\nContent-Length: 19999\r\n\r\n");
        put(p, big);

    } else if (strstr(p->in, "/silent")) {
        p->counted = true;
        open_now++;
        open_max = open_now > open_max ? open_now : open_max;

    } else if (strstr(p->in, "/close")) {
        uv_close((uv_handle_t *) &p->pipe, freed);

    } else if (strstr(p->in, "/half")) {
        put(p, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
        uv_close((uv_handle_t *) &p->pipe, freed);

    } else if (strstr(p->in, "/error")) {
        put(p, "HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\n{\"a\":1}");

    } else if (strstr(p->in, "/stream")) {
        put(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        put(p, "3\r\none\r\n");
        put(p, "3\r\ntwo\r\n");
        if (strstr(p->in, "/stream-end")) {
            put(p, "0\r\n\r\n");
        }

    } else {
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 5"
                 "\r\n\r\nhello");
        put(p, text);
    }
    p->len = 0;
}

static void
alloc_cb(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
    peer_t  *p = (peer_t *) h;

    (void) n;
    *buf = uv_buf_init(p->in + p->len, (unsigned) (sizeof(p->in) - p->len - 1));
}

static void
read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    peer_t  *p = (peer_t *) s;

    (void) buf;
    if (n < 0) {
        uv_close((uv_handle_t *) s, freed);
        return;
    }
    p->len += (size_t) n;
    p->in[p->len] = '\0';
    if (strstr(p->in, "\r\n\r\n")) {
        answer(p);
    }
}

static void
connection(uv_stream_t *server, int status)
{
    peer_t  *p = calloc(1, sizeof(*p));

    (void) status;
    uv_pipe_init(&loop, &p->pipe, 0);
    uv_accept(server, (uv_stream_t *) &p->pipe);
    uv_unref((uv_handle_t *) &p->pipe);
    uv_read_start((uv_stream_t *) &p->pipe, alloc_cb, read_cb);
}


/* -- callers -- */

static mc_http_t      *http;
static int             called;
static long            status;
static size_t          len;
static bool            timeout, refused;
static char            body[256], error[256], streamed[256];
static mc_http_req_t  *stream_req;
static int             stream_does;     /* -1 refuse, 1 cancel, 0 take */

static void
on_done(void *data, const mc_http_reply_t *r)
{
    (void) data;
    called++;
    status = r->status;
    len = r->len;
    timeout = r->timeout;
    refused = r->refused;
    snprintf(body, sizeof(body), "%s", r->body);
    snprintf(error, sizeof(error), "%s", r->error);
}

static int
on_data(void *data, const char *p, size_t n)
{
    (void) data;
    snprintf(streamed + strlen(streamed), sizeof(streamed) - strlen(streamed),
             "%.*s", (int) n, p);
    if (stream_does == 1) {
        mc_http_cancel(stream_req);
        return 0;
    }
    return stream_does;
}

static mc_http_req_t *
start(const char *method, const char *p, unsigned ms, size_t max,
    mc_http_data_pt data)
{
    mc_http_call_t  call = {
        .method = method, .path = p, .timeout_ms = ms, .max_body = max,
        .on_data = data, .on_done = on_done
    };

    return mc_http_send(http, &call);
}

/* Until the callback came, or for ms. */
static void
run(unsigned n, unsigned ms)
{
    uint64_t  end = uv_hrtime() + (uint64_t) ms * 1000000;

    while ((unsigned) called < n && uv_hrtime() < end) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}

static void
get(const char *p, unsigned ms, size_t max, mc_http_data_pt data)
{
    called = 0;
    streamed[0] = '\0';
    stream_req = start("GET", p, ms, max, data);
    ok(stream_req && called == 0, "GET %s: not called from within", p);
    run(1, 5000);
    is_int(called, 1, "called once");
}

static void
answers(void)
{
    mc_http_call_t  post = {
        .method = "POST", .path = "/post", .body = "{}", .body_len = 2,
        .type = "application/json", .bearer = "tok", .accept = "a/b",
        .timeout_ms = 5000, .on_done = on_done
    };

    get("/ok", 5000, 0, NULL);
    is_int(status, 200, "an answer");
    is(body, "hello", "its body");
    is(error, "", "no error");
    get("/error", 5000, 0, NULL);
    is_int(status, 500, "an error of the server's");
    is(body, "{\"a\":1}", "with its body");
    get("/big", 5000, 20000, NULL);
    is_int(len, 19999, "a long body");
    get("/big", 5000, 10000, NULL);
    is_int(status, 0, "one that is too long");
    ok(strstr(error, "10000"), "is told: %s", error);
    get("/silent", 80, 0, NULL);
    ok(status == 0 && timeout, "silence: %s", error);
    get("/close", 5000, 0, NULL);
    ok(status == 0 && !timeout && *error, "a connection lost: %s", error);
    get("/half", 5000, 0, NULL);
    ok(status == 0 && *error, "half an answer: %s", error);
    called = 0;
    mc_http_send(http, &post);
    run(1, 5000);
    ok(strncmp(request, "POST /b/post HTTP/1.1\r\n", 23) == 0, "POST");
    ok(strstr(request, "Content-Type: application/json\r\n"), "type");
    ok(strstr(request, "Authorization: Bearer tok\r\n"), "bearer");
    ok(strstr(request, "Accept: a/b\r\n"), "accept");
    ok(strstr(request, "User-Agent: test\r\n"), "agent");
    ok(strstr(request, "\r\n\r\n{}"), "body");
    ok(!strstr(request, "Expect"), "and no Expect");
    called = 0;
    start("DELETE", "/gone", 5000, 0, NULL);
    run(1, 5000);
    ok(strncmp(request, "DELETE /b/gone ", 15) == 0, "DELETE");
}

static void
streams(void)
{
    stream_does = 0;
    get("/stream-end", 0, 0, on_data);
    is(streamed, "onetwo", "a stream");
    is_int(status, 200, "that ends well");
    is(body, "", "and leaves no body");
    get("/error", 0, 0, on_data);
    is(streamed, "", "one that is refused");
    is(body, "{\"a\":1}", "says why");
    stream_does = -1;
    get("/stream", 0, 0, on_data);
    ok(status == 0 && *error, "one that makes no sense: %s", error);
    stream_does = 1;
    called = 0;
    streamed[0] = '\0';
    stream_req = start("GET", "/stream", 0, 0, on_data);
    run(1, 100);
    ok(called == 0 && *streamed, "cancelled from within: no end is told");
    stream_does = 0;
    stream_req = start("GET", "/stream", 0, 0, on_data);
    run(1, 50);
    mc_http_cancel(stream_req);
    run(1, 50);
    is_int(called, 0, "cancelled from outside as well");
}

static void
limits(void)
{
    unsigned  i, sent = 0;

    called = 0;
    open_max = 0;
    for (i = 0; i < 8; i++) {
        sent += start("GET", "/silent", 150, 0, NULL) != NULL;
    }
    is_int(sent, 5, "two under way and three that wait, no more");
    stream_req = start("GET", "/stream", 0, 0, on_data);
    ok(stream_req == NULL, "the queue is full for all");
    run(5, 5000);
    is_int(called, 5, "all of them end");
    is_int(open_max, 2, "never more than two at once");
    ok(timeout, "the last waited too long");
}

static void
the_end(void)
{
    unsigned long  counts[6];
    char           esc[64];

    mc_http_counters(http, counts);
    ok(counts[2] >= 4 && counts[5] == 2 && counts[0] >= 8, "counters");
    is_int(mc_http_escape(esc, sizeof(esc), "a/b c:\xc3\xa4"), 18, "escape");
    is(esc, "a%2Fb%20c%3A%C3%A4", "as in a URL");
    uv_close((uv_handle_t *) &listener, NULL);
    unlink(path);
    get("/ok", 5000, 0, NULL);
    /* a connection may be left from before */
    called = 0;
    start("GET", "/silent", 5000, 0, NULL);
    start("GET", "/stream", 0, 0, on_data);
    run(1, 30);
    called = 0;
    mc_http_destroy(http);
    run(1, 50);
    is_int(called, 0, "destroyed in the middle: nothing is called");
}

int
main(void)
{
    mc_http_conf_t  conf = {
        .base = "http://x/b", .unix_socket = path, .user_agent = "test",
        .parallel = 2, .queue = 3, .streams = 10
    };

    snprintf(path, sizeof(path), "/tmp/mchost-http-%d.sock", (int) getpid());
    uv_loop_init(&loop);
    http = mc_http_create(&loop, &conf);
    get("/ok", 5000, 0, NULL);
    ok(status == 0 && refused, "nobody listens: %s", error);
    uv_pipe_init(&loop, &listener, 0);
    uv_pipe_bind(&listener, path);
    uv_listen((uv_stream_t *) &listener, 16, connection);
    answers();
    streams();
    limits();
    the_end();
    run(1000, 100);
    uv_run(&loop, UV_RUN_DEFAULT);
    run(1000, 100);
    is_int(uv_loop_close(&loop), 0, "nothing is left open");
    return done_testing();
}
