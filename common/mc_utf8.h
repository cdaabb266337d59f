/*
 * UTF-8 by RFC 3629, one character at a time. mc_utf8_valid() is in mc_json.h.
 */

#ifndef MC_UTF8_H
#define MC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at s (1..4), or 0 when what stands there is none:
 * a stray or missing continuation byte, an overlong form, a surrogate, or
 * more than U+10FFFF. */
size_t mc_utf8_char(const char *s, size_t len);

/* Characters in s; a byte that belongs to none counts as one. */
size_t mc_utf8_length(const char *s, size_t len);

#endif
