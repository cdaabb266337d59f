#include <string.h>
#include "mc_envelope.h"
#include "mc_uuid.h"

#define MC_SEQ_MAX   41         /* two numbers of 64 bits and a dash */
#define MC_TIME_MAX  40

/* Takes the text up to the next space; NULL when there is no space within
 * the first max + 1 bytes, or nothing before it. */
static const char *
take_field(const char **p, const char *end, size_t max, size_t *len)
{
    const char  *field = *p;
    size_t       left = (size_t) (end - field);
    const char  *space;

    space = memchr(field, ' ', left <= max ? left : max + 1);
    if (space == NULL || space == field) {
        return NULL;
    }
    *len = (size_t) (space - field);
    *p = space + 1;
    return field;
}

/* Reads "ms" or "ms-n"; -1 when it is neither. */
static int
parse_seq(const char *s, size_t len, uint64_t part[2])
{
    int       n = 0;
    size_t    i, start = 0;
    unsigned  digit;

    part[0] = part[1] = 0;
    for (i = 0; i < len; i++) {
        if (s[i] == '-' && n == 0 && i > 0) {
            n = 1;
            start = i + 1;
            continue;
        }
        if (s[i] < '0' || s[i] > '9') {
            return -1;
        }
        digit = (unsigned) (s[i] - '0');
        if (part[n] > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        part[n] = part[n] * 10 + digit;
    }
    return i > start ? 0 : -1;
}

int
mc_envelope_decode(mc_envelope_t *env, const char *msg, size_t len)
{
    const char  *p = msg, *end = msg + len;
    uint64_t     seq[2];
    size_t       server_len;

    if (len < 2 || p[0] != MC_ENVELOPE_VERSION || p[1] != ' ') {
        return -1;
    }
    p += 2;

    env->server = take_field(&p, end, MC_UUID_LEN, &server_len);
    if (env->server == NULL || !mc_uuid_valid(env->server, server_len)) {
        return -1;
    }
    env->seq = take_field(&p, end, MC_SEQ_MAX, &env->seq_len);
    if (env->seq == NULL || parse_seq(env->seq, env->seq_len, seq) != 0) {
        return -1;
    }
    env->time = take_field(&p, end, MC_TIME_MAX, &env->time_len);
    if (env->time == NULL || p == end) {
        return -1;
    }
    env->data = p;
    env->data_len = (size_t) (end - p);
    return 0;
}

size_t
mc_envelope_encode(char *buf, size_t size, const mc_envelope_t *env)
{
    size_t  len;
    char   *p = buf;

    len = 2 + MC_UUID_LEN + 1 + env->seq_len + 1 + env->time_len + 1
          + env->data_len;
    if (len >= size) {
        return len;
    }

    *p++ = MC_ENVELOPE_VERSION;
    *p++ = ' ';
    memcpy(p, env->server, MC_UUID_LEN);
    p += MC_UUID_LEN;
    *p++ = ' ';
    memcpy(p, env->seq, env->seq_len);
    p += env->seq_len;
    *p++ = ' ';
    memcpy(p, env->time, env->time_len);
    p += env->time_len;
    *p++ = ' ';
    memcpy(p, env->data, env->data_len);
    p += env->data_len;
    *p = '\0';
    return len;
}

int
mc_seq_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
    uint64_t  x[2], y[2];
    int       a_bad = parse_seq(a, alen, x), b_bad = parse_seq(b, blen, y);
    int       i;

    if (a_bad || b_bad) {
        return a_bad - b_bad;           /* -1 sorts first */
    }
    for (i = 0; i < 2; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

int
mc_seq_valid(const char *s, size_t len)
{
    uint64_t  part[2];

    return len <= MC_SEQ_MAX && memchr(s, '-', len) != NULL
           && parse_seq(s, len, part) == 0;
}
