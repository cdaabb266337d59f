/*
 * hiredis 0.14 on libuv.
 *
 * That version has no timeouts of its own and resolves names while it
 * connects: both are done here. Its contexts free themselves when they fail,
 * so nothing touches one after a call into it that may have read.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <hiredis/async.h>
#include "clock.h"
#include "log.h"
#include "redis.h"

#define PENDING_MAX   4096
#define RETRY_MIN_MS  100
#define RETRY_MAX_MS  2000
#define TICK_MS       1000

/* The poll handle lives longer than the context it polls for. */
typedef struct {
    uv_poll_t           handle;
    redisAsyncContext  *ac;             /* NULL: gone */
    int                 events;
} poll_t;

/* A command's callback. */
typedef struct {
    mc_redis_t         *redis;
    mc_redis_reply_pt   cb;
    void               *data;
} call_t;

struct mc_redis_s {
    mc_redis_conf_t     conf;
    uv_loop_t          *loop;
    char                host[256];      /* or the socket's path */
    char                port[8];        /* "" for a socket */

    redisAsyncContext  *ac;
    bool                up;             /* authenticated */
    unsigned            pending;
    int64_t             heard_ms;       /* the last sign of life */
    mc_redis_reply_pt   sub_cb;
    void               *sub_data;

    uv_timer_t          timer;          /* retry, or the watch */
    uv_getaddrinfo_t    resolver;
    bool                resolving;
    bool                closing;
    bool                reported;
    int64_t             retry_ms;
};

static void connect_begin(mc_redis_t *redis);
static void drop(mc_redis_t *redis, const char *why);


/* -- the adapter -- */

static void
on_poll(uv_poll_t *handle, int status, int events)
{
    poll_t  *p = handle->data;

    if (p->ac != NULL && (status != 0 || (events & UV_READABLE))) {
        redisAsyncHandleRead(p->ac);
    }
    if (p->ac != NULL && (events & UV_WRITABLE)) {
        redisAsyncHandleWrite(p->ac);
    }
}


static void
poll_set(poll_t *p, int events)
{
    p->events = events;
    if (events == 0) {
        uv_poll_stop(&p->handle);
    } else {
        uv_poll_start(&p->handle, events, on_poll);
    }
}


static void
add_read(void *p)
{
    poll_set(p, ((poll_t *) p)->events | UV_READABLE);
}


static void
del_read(void *p)
{
    poll_set(p, ((poll_t *) p)->events & ~UV_READABLE);
}


static void
add_write(void *p)
{
    poll_set(p, ((poll_t *) p)->events | UV_WRITABLE);
}


static void
del_write(void *p)
{
    poll_set(p, ((poll_t *) p)->events & ~UV_WRITABLE);
}


static void
poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}


static void
cleanup(void *data)
{
    poll_t  *p = data;

    p->ac = NULL;
    uv_close((uv_handle_t *) &p->handle, poll_closed);
}


static int
attach(uv_loop_t *loop, redisAsyncContext *ac)
{
    poll_t  *p = calloc(1, sizeof(*p));

    if (p == NULL || uv_poll_init(loop, &p->handle, ac->c.fd) != 0) {
        free(p);
        return -1;
    }
    p->ac = ac;
    p->handle.data = p;
    ac->ev.data = p;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    return 0;
}


/* -- the connection's life -- */

static void
on_retry(uv_timer_t *timer)
{
    connect_begin(timer->data);
}


static void
retry_later(mc_redis_t *redis)
{
    int64_t  jitter = random() % (redis->retry_ms + 1);

    if (redis->closing) {
        return;
    }
    uv_timer_start(&redis->timer, on_retry,
                   (uint64_t) (redis->retry_ms + jitter), 0);
    redis->retry_ms *= 2;
    if (redis->retry_ms > RETRY_MAX_MS) {
        redis->retry_ms = RETRY_MAX_MS;
    }
}


/* The context is gone or going: what follows for everybody else. */
static void
went_down(mc_redis_t *redis, bool was_up, const char *why)
{
    redis->ac = NULL;
    redis->up = false;
    redis->pending = 0;

    if (redis->closing) {
        return;
    }
    mc_log(redis->reported ? MC_LOG_DEBUG : MC_LOG_WARN,
           was_up ? "the connection to Redis was lost" : "Redis is not reachable",
           "connection", redis->conf.name, "error", why, NULL);
    redis->reported = true;
    retry_later(redis);
    if (was_up) {
        redis->conf.change(redis->conf.data, false);
    }
}


/* Gives the connection up from our side. */
static void
drop(mc_redis_t *redis, const char *why)
{
    redisAsyncContext  *ac = redis->ac;
    bool                was_up = redis->up;

    if (ac == NULL) {
        return;
    }
    ac->data = NULL;            /* its callbacks know by this that it is over */
    redis->ac = NULL;
    redis->up = false;
    redisAsyncFree(ac);
    went_down(redis, was_up, why);
}


static void
on_disconnect(const redisAsyncContext *ac, int status)
{
    mc_redis_t  *redis = ac->data;

    if (redis != NULL) {
        went_down(redis, redis->up, status == REDIS_OK ? "closed" : ac->errstr);
    }
}


static void
on_watch(uv_timer_t *timer)
{
    mc_redis_t  *redis = timer->data;

    if (mc_clock_mono_ms() - redis->heard_ms > redis->conf.silence_ms) {
        drop(redis, "no answer in time");
    }
}


/* The answer to PING, the last command of the handshake. */
static void
on_pong(redisAsyncContext *ac, void *answer, void *data)
{
    mc_redis_t  *redis = ac->data;
    redisReply  *reply = answer;

    (void) data;
    if (redis == NULL || reply == NULL) {
        return;
    }
    redis->heard_ms = mc_clock_mono_ms();

    if (reply->type == REDIS_REPLY_ERROR) {
        drop(redis, reply->str);
        return;
    }
    redis->up = true;
    redis->reported = false;
    redis->retry_ms = RETRY_MIN_MS;
    mc_log(MC_LOG_INFO, "connected to Redis", "connection", redis->conf.name,
           NULL);
    redis->conf.change(redis->conf.data, true);
}


static void
on_auth(redisAsyncContext *ac, void *answer, void *data)
{
    mc_redis_t  *redis = ac->data;
    redisReply  *reply = answer;

    (void) data;
    if (redis != NULL && reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        drop(redis, reply->str);
    }
}


static void
on_connect(const redisAsyncContext *ac, int status)
{
    if (status != REDIS_OK && ac->data != NULL) {
        went_down(ac->data, false, ac->errstr);        /* hiredis frees it itself */
    }
}


static void
handshake(mc_redis_t *redis)
{
    const mc_redis_conf_t  *conf = &redis->conf;
    redisAsyncContext      *ac = redis->ac;

    if (conf->password[0] != '\0') {
        const char  *argv[] = { "AUTH", conf->user, conf->password };

        if (conf->user[0] != '\0') {
            redisAsyncCommandArgv(ac, on_auth, NULL, 3, argv, NULL);
        } else {
            argv[1] = conf->password;
            redisAsyncCommandArgv(ac, on_auth, NULL, 2, argv, NULL);
        }
    }
    redisAsyncCommand(ac, on_pong, NULL, "PING");
}


/* address: an IP address, or the path of a socket */
static void
connect_to(mc_redis_t *redis, const char *address)
{
    redisAsyncContext  *ac;

    ac = redis->port[0] == '\0' ? redisAsyncConnectUnix(address)
                                : redisAsyncConnect(address, atoi(redis->port));

    if (ac == NULL || ac->err != 0 || attach(redis->loop, ac) != 0) {
        went_down(redis, false, ac == NULL ? "no memory" : ac->errstr);
        if (ac != NULL) {
            redisAsyncFree(ac);
        }
        return;
    }

    redis->ac = ac;
    ac->data = redis;
    redis->heard_ms = mc_clock_mono_ms();
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    handshake(redis);
    uv_timer_start(&redis->timer, on_watch, TICK_MS, TICK_MS);
}


static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}


static void
on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    mc_redis_t  *redis = req->data;
    char         address[64];

    redis->resolving = false;

    if (redis->closing) {
        uv_freeaddrinfo(found);
        uv_close((uv_handle_t *) &redis->timer, on_closed);
        return;
    }
    if (status == 0) {
        status = found->ai_family == AF_INET6
                 ? uv_ip6_name((struct sockaddr_in6 *) (void *) found->ai_addr,
                               address, sizeof(address))
                 : uv_ip4_name((struct sockaddr_in *) (void *) found->ai_addr,
                               address, sizeof(address));
        uv_freeaddrinfo(found);
    }
    if (status != 0) {
        went_down(redis, false, uv_strerror(status));
        return;
    }
    connect_to(redis, address);
}


static void
connect_begin(mc_redis_t *redis)
{
    struct addrinfo  hints = { .ai_socktype = SOCK_STREAM };
    int              rc;

    if (redis->port[0] == '\0') {
        connect_to(redis, redis->host);
        return;
    }

    redis->resolver.data = redis;
    redis->resolving = true;
    rc = uv_getaddrinfo(redis->loop, &redis->resolver, on_resolved, redis->host,
                        redis->port, &hints);
    if (rc != 0) {
        redis->resolving = false;
        went_down(redis, false, uv_strerror(rc));
    }
}


/* redis://host[:port], redis://[v6]:port, unix:/path */
static int
parse_url(mc_redis_t *redis, const char *url)
{
    const char  *host = url + 8, *end, *colon;
    size_t       len;

    if (strncmp(url, "unix:", 5) == 0) {
        len = (size_t) snprintf(redis->host, sizeof(redis->host), "%s", url + 5);
        return len < sizeof(redis->host) ? 0 : -1;
    }
    if (strncmp(url, "redis://", 8) != 0) {
        return -1;
    }

    end = host + strcspn(host, "/");
    if (*host == '[') {
        host++;
        len = strcspn(host, "]");
        colon = host[len] == ']' && host[len + 1] == ':' ? host + len + 1 : NULL;
    } else {
        len = strcspn(host, ":/");
        colon = host[len] == ':' ? host + len : NULL;
    }

    if (len == 0 || len >= sizeof(redis->host)) {
        return -1;
    }
    memcpy(redis->host, host, len);
    snprintf(redis->port, sizeof(redis->port), "%.*s",
             colon == NULL ? 4 : (int) (end - colon - 1),
             colon == NULL ? "6379" : colon + 1);
    return redis->port[0] != '\0' ? 0 : -1;
}


mc_redis_t *
mc_redis_create(uv_loop_t *loop, const mc_redis_conf_t *conf)
{
    mc_redis_t  *redis = calloc(1, sizeof(*redis));

    if (redis == NULL) {
        return NULL;
    }
    redis->conf = *conf;
    redis->loop = loop;
    redis->retry_ms = RETRY_MIN_MS;

    if (parse_url(redis, conf->url) != 0) {
        free(redis);
        return NULL;
    }
    uv_timer_init(loop, &redis->timer);
    redis->timer.data = redis;
    uv_timer_start(&redis->timer, on_retry, 0, 0);
    return redis;
}


void
mc_redis_destroy(mc_redis_t *redis)
{
    if (redis == NULL) {
        return;
    }
    redis->closing = true;
    drop(redis, "");
    if (!redis->resolving) {
        uv_close((uv_handle_t *) &redis->timer, on_closed);
    }
}


bool
mc_redis_up(const mc_redis_t *redis)
{
    return redis->up;
}


static void
on_reply(redisAsyncContext *ac, void *answer, void *data)
{
    call_t      *call = data;
    mc_redis_t  *redis = call->redis;

    if (ac->data != NULL && answer != NULL) {
        redis->heard_ms = mc_clock_mono_ms();
        redis->pending--;
    }
    if (call->cb != NULL) {
        call->cb(call->data, answer);
    }
    free(call);
}


int
mc_redis_command(mc_redis_t *redis, mc_redis_reply_pt cb, void *data, int argc,
    const char **argv, const size_t *lens)
{
    call_t  *call;

    if (!redis->up || redis->pending >= PENDING_MAX) {
        return -1;
    }
    call = malloc(sizeof(*call));
    if (call == NULL) {
        return -1;
    }
    *call = (call_t) { redis, cb, data };

    if (redisAsyncCommandArgv(redis->ac, on_reply, call, argc, argv, lens)
        != REDIS_OK)
    {
        free(call);
        return -1;
    }
    redis->pending++;
    return 0;
}


static void
on_message(redisAsyncContext *ac, void *answer, void *data)
{
    mc_redis_t  *redis = data;

    if (ac->data == NULL || answer == NULL) {
        return;
    }
    redis->heard_ms = mc_clock_mono_ms();
    redis->sub_cb(redis->sub_data, answer);
}


int
mc_redis_subscribe(mc_redis_t *redis, const char *channel, mc_redis_reply_pt cb,
    void *data)
{
    const char  *argv[] = { "SUBSCRIBE", channel };

    if (!redis->up) {
        return -1;
    }
    redis->sub_cb = cb;
    redis->sub_data = data;
    return redisAsyncCommandArgv(redis->ac, on_message, redis, 2, argv, NULL)
           == REDIS_OK ? 0 : -1;
}
