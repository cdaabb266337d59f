/* An envelope that is accepted is written as it was; sequences have a total
 * order. */

#include "fuzz.h"
#include "mc_envelope.h"

static int
sign(int n)
{
    return (n > 0) - (n < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           *text = exact(data, size), *out;
    mc_envelope_t   env;
    size_t          half = size / 2;

    if (mc_envelope_decode(&env, text, size) == 0) {
        out = malloc(size + 1);
        MUST(mc_envelope_encode(out, size + 1, &env) == size);
        MUST(memcmp(out, text, size) == 0);
        MUST(mc_envelope_encode(out, size, &env) == size);
        free(out);
        MUST(mc_seq_cmp(env.seq, env.seq_len, env.seq, env.seq_len) == 0);
        MUST(mc_seq_cmp("", 0, env.seq, env.seq_len) < 0);
    }
    MUST(sign(mc_seq_cmp(text, half, text + half, size - half))
         == -sign(mc_seq_cmp(text + half, size - half, text, half)));
    free(text);
    return 0;
}
