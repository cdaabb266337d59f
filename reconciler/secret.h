/*
 * The installation's secret, from which the RCON passwords are made
 * (mc_rcon_password() of engine.h).
 */

#ifndef MC_SECRET_H
#define MC_SECRET_H

#include <stddef.h>

/* Reads the secret once at start: 16 to 4096 bytes, a newline at the end does
 * not count. The file must not be accessible to group or others; the group may
 * read one that is root's. 0, or -1 and a sentence in err. */
int mc_secret_load(const char *file, char *err, size_t errlen);

/* HMAC-SHA-256 of text under the secret, in lower-case hex. */
void mc_secret_hmac(const char *text, size_t len, char hex[65]);

/* SHA-256 of the bytes, in lower-case hex. */
void mc_sha256_hex(const void *data, size_t len, char hex[65]);

/* Wipes it from memory. */
void mc_secret_unload(void);

#endif
