#include "mc_utf8.h"
#include "mc_json.h"

/* The lowest and highest second byte of the characters that begin with lead:
 * they are what rules out overlong forms, surrogates and U+110000 up. */
static int
second_byte_range(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;

    if (lead >= 0xc2 && lead <= 0xdf) {
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0) {
            *low = 0xa0;
        } else if (lead == 0xed) {
            *high = 0x9f;
        }
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0) {
            *low = 0x90;
        } else if (lead == 0xf4) {
            *high = 0x8f;
        }
        return 4;
    }
    return 0;
}

size_t
mc_utf8_char(const char *s, size_t len)
{
    const uint8_t  *p = (const uint8_t *) s;
    uint8_t         low, high;
    size_t          i, n;

    if (len == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }

    n = (size_t) second_byte_range(p[0], &low, &high);
    if (n == 0 || n > len || p[1] < low || p[1] > high) {
        return 0;
    }
    for (i = 2; i < n; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return n;
}

size_t
mc_utf8_length(const char *s, size_t len)
{
    size_t  i, n, count = 0;

    for (i = 0; i < len; i += n ? n : 1) {
        n = mc_utf8_char(s + i, len - i);
        count++;
    }
    return count;
}

int
mc_utf8_valid(const char *s, size_t len)
{
    size_t  i, n;

    for (i = 0; i < len; i += n) {
        n = mc_utf8_char(s + i, len - i);
        if (n == 0) {
            return 0;
        }
    }
    return 1;
}
