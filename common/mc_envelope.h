/*
 * What travels on the fan-out channels "t:{tenant}:{topic}" in Redis:
 *
 *     1 SERVER SEQ TIME DATA
 *
 * a version (unknown ones are ignored), the server's UUID, a sequence that
 * orders the messages of one server and topic ("ms-n", a Redis stream id),
 * an RFC 3339 time, and JSON that reaches the sockets byte for byte. One
 * space between the fields; DATA is the rest. The log streams "log:{server}"
 * hold the fields "time" and "data" of the same message; there SEQ is the
 * entry's id.
 */

#ifndef MC_ENVELOPE_H
#define MC_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#define MC_ENVELOPE_VERSION  '1'

typedef struct {
    const char  *server;        /* 36 characters, not terminated */
    const char  *seq;
    size_t       seq_len;
    const char  *time;
    size_t       time_len;
    const char  *data;
    size_t       data_len;
} mc_envelope_t;

/* Points into msg; nothing is copied. 0, or -1 when msg is no envelope of
 * this version. DATA is not parsed. */
int mc_envelope_decode(mc_envelope_t *env, const char *msg, size_t len);

/* Writes the envelope and returns its length, as snprintf() does: a result
 * >= size means that buf was too small and holds nothing of use. */
size_t mc_envelope_encode(char *buf, size_t size, const mc_envelope_t *env);

/* Orders two stream ids "ms-n": <0, 0 or >0, as strcmp(). A missing "-n" is
 * "-0"; text that is no stream id sorts first. */
int mc_seq_cmp(const char *a, size_t alen, const char *b, size_t blen);

/* 1 when s is a whole stream id, "ms-n", each of at most 64 bits; else 0. */
int mc_seq_valid(const char *s, size_t len);

#endif
