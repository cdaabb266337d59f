/*
 * The status ping of the server list, asynchronously: what a player's client
 * asks before it joins. An answer is what makes a server Ready.
 */

#ifndef MC_PING_H
#define MC_PING_H

#include <stdint.h>
#include <uv.h>

typedef struct {
    int   online;               /* players; -1 when the server hides them */
    int   max;
    int   protocol;
    char  version[64];          /* "1.20.4", "Paper 1.21.1"; "" unknown */
} mc_pong_t;

typedef struct mc_ping_s  mc_ping_t;

/* pong is NULL when there was no answer; message then says why, else it is
 * "". Both are valid during the call only. */
typedef void (*mc_ping_pt)(void *data, const mc_pong_t *pong,
    const char *message);

/* host is an IP address: no name is resolved here. The callback comes once,
 * from the loop, never from within this call, at the latest after timeout_ms.
 * NULL when memory is out (then no callback comes). */
mc_ping_t *mc_ping(uv_loop_t *loop, const char *host, uint16_t port,
    uint64_t timeout_ms, mc_ping_pt cb, void *data);

/* Gives up; the callback does not come any more. Not after the callback. */
void mc_ping_cancel(mc_ping_t *ping);

#endif
