/*
 * A connection to Redis on the loop: connects, authenticates, and does so
 * again whenever it was lost, with growing delays.
 */

#ifndef MC_REDIS_H
#define MC_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <hiredis/hiredis.h>
#include <uv.h>

typedef struct mc_redis_s  mc_redis_t;

/* reply is NULL when the connection was lost. */
typedef void (*mc_redis_reply_pt)(void *data, const redisReply *reply);
typedef void (*mc_redis_change_pt)(void *data, bool up);

typedef struct {
    const char          *name;          /* for the log */
    const char          *url;           /* unix:/path, redis://host:port */
    const char          *user;          /* "" none */
    const char          *password;      /* "" none */
    unsigned             silence_ms;    /* no reply for so long: it is lost */
    mc_redis_change_pt   change;
    void                *data;
} mc_redis_conf_t;

/* Connects in the background. The strings of conf must outlive it. NULL when
 * memory is out or the URL is none. */
mc_redis_t *mc_redis_create(uv_loop_t *loop, const mc_redis_conf_t *conf);

/* Pending callbacks come with NULL, from within. */
void mc_redis_destroy(mc_redis_t *redis);

bool mc_redis_up(const mc_redis_t *redis);

/* Sends a command; cb may be NULL. It comes once, never from within this
 * call. -1 and no callback: not connected, or 4096 replies are outstanding. */
int mc_redis_command(mc_redis_t *redis, mc_redis_reply_pt cb, void *data,
    int argc, const char **argv, const size_t *lens);

/* SUBSCRIBE: cb gets every message and confirmation until the connection is
 * lost. Repeating it is how such a connection is kept alive. */
int mc_redis_subscribe(mc_redis_t *redis, const char *channel,
    mc_redis_reply_pt cb, void *data);

#endif
