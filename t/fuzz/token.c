/* What a client presents as its key, and what it says is a cursor. */

#include "fuzz.h"
#include "mc_envelope.h"
#include "mc_token.h"
#include "mc_uuid.h"

/* A token of a good form stays none with any byte changed to a blank, and
 * shorter or longer. */
static void
check_token(char *s, size_t size)
{
    int     kind = mc_token_kind(s, size);
    size_t  i;
    char    c;

    MUST(kind >= -1 && kind < MC_TOKEN_KINDS);
    if (kind == -1) {
        return;
    }
    MUST(size == MC_TOKEN_LEN);
    MUST(memcmp(s, mc_token_prefix(kind), MC_TOKEN_ID_POS) == 0);
    MUST(mc_token_kind(s, size - 1) == -1);
    for (i = 0; i < size; i++) {
        c = s[i];
        s[i] = ' ';
        MUST(mc_token_kind(s, size) == -1);
        s[i] = c;
    }
}

/* A cursor is nothing but the characters of one: it is sent to the database
 * and to Redis as it is. */
static void
check_cursor(const char *s, size_t size)
{
    size_t  i;

    if (mc_uuid_valid(s, size)) {
        MUST(size == MC_UUID_LEN && !mc_seq_valid(s, size));
        for (i = 0; i < size; i++) {
            MUST(s[i] && strchr("0123456789abcdefABCDEF-", s[i]) != NULL);
        }
    }
    if (mc_seq_valid(s, size)) {
        MUST(size >= 3 && mc_seq_cmp(s, size, s, size) == 0);
        MUST(mc_seq_cmp(s, size, "", 0) > 0);
        for (i = 0; i < size; i++) {
            MUST(s[i] && strchr("0123456789-", s[i]) != NULL);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char  *copy = exact(data, size);

    check_token(copy, size);
    check_cursor(copy, size);
    free(copy);
    return 0;
}
