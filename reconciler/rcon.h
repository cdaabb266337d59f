/*
 * One console command over RCON, asynchronously: connect, log in, run it,
 * collect the whole answer, close. The wire format is common/mc_minecraft.h.
 */

#ifndef MC_RCON_H
#define MC_RCON_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* An answer is cut here; a game with a longer one is not worth the memory. */
#define MC_RCON_OUTPUT_MAX  (256 * 1024)

typedef enum {
    MC_RCON_OK,
    MC_RCON_UNREACHABLE,        /* not listening, connection lost */
    MC_RCON_DENIED,             /* wrong password */
    MC_RCON_TIMEOUT,
    MC_RCON_INVALID             /* no RCON there; or the command is too long */
} mc_rcon_status_t;

typedef struct mc_rcon_s  mc_rcon_t;

/* output is as the game sent it (formatting codes stripped, NUL-terminated,
 * valid during the call only); "" unless status is MC_RCON_OK. message says
 * in words what went wrong, "" when nothing did. */
typedef void (*mc_rcon_pt)(void *data, mc_rcon_status_t status,
    const char *output, size_t len, const char *message);

/* host is an IP address: no name is resolved here. The callback comes once,
 * from the loop, never from within this call, at the latest after timeout_ms.
 * A connection that dies after a command was sent ("stop") is a success with
 * what output there was. NULL when memory is out (then no callback comes).
 * The arguments are copied. */
mc_rcon_t *mc_rcon_exec(uv_loop_t *loop, const char *host, uint16_t port,
    const char *password, const char *command, uint64_t timeout_ms,
    mc_rcon_pt cb, void *data);

/* Gives up; the callback does not come any more. Not after the callback. */
void mc_rcon_cancel(mc_rcon_t *rcon);

#endif
