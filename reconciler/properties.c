#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "gameversion.h"
#include "properties.h"
#include "text.h"

typedef struct {
    mc_text_t         text;
    const mc_json_t  *spec;
    const mc_json_t  *props;
    const char       *version;
} writer_t;

typedef enum { BOOLEAN, INTEGER } kind_t;

/* What is written as it is. Absent in the spec: def, or nothing if NULL.
 * since, until: the versions that know the key, "until" not included. */
typedef struct {
    const char  *key;
    const char  *field;
    kind_t       kind;
    const char  *def;
    int          since[3];
    int          until[3];
} plain_t;

static const plain_t  plain[] = {
    { "max-players", "maxPlayers", INTEGER, "20", {0}, {0} },
    { "online-mode", "onlineMode", BOOLEAN, "true", {0}, {0} },
    { "enforce-secure-profile", "enforceSecureProfile", BOOLEAN, "true",
      { 1, 19, 0 }, {0} },
    { "hardcore", "hardcore", BOOLEAN, "false", {0}, {0} },
    { "force-gamemode", "forceGameMode", BOOLEAN, "false", {0}, {0} },
    { "allow-flight", "allowFlight", BOOLEAN, "false", {0}, {0} },
    { "generate-structures", "generateStructures", BOOLEAN, "true",
      {0}, {0} },
    { "view-distance", "viewDistance", INTEGER, "10", {0}, {0} },
    { "simulation-distance", "simulationDistance", INTEGER, "10",
      { 1, 18, 0 }, {0} },
    { "spawn-protection", "spawnProtection", INTEGER, "16", {0}, {0} },
    { "player-idle-timeout", "playerIdleTimeout", INTEGER, "0", {0}, {0} },
    { "pause-when-empty-seconds", "pauseWhenEmptySeconds", INTEGER, NULL,
      { 1, 21, 2 }, {0} },
    { "pvp", "pvp", BOOLEAN, "true", {0}, { 1, 21, 9 } },
    { "allow-nether", "allowNether", BOOLEAN, "true", {0}, { 1, 21, 9 } },
    { "spawn-monsters", "spawnMonsters", BOOLEAN, "true", {0},
      { 1, 21, 9 } },
    { "enable-command-block", "commandBlocks", BOOLEAN, "false", {0},
      { 1, 21, 9 } }
};

#define N(table)  (sizeof(table) / sizeof((table)[0]))


const char *
mc_properties_version(const mc_json_t *spec)
{
    const char  *v = mc_json_str(mc_json_at(spec, "software.version"), "");

    if (*v == '\0'
        && strcmp(mc_json_str(mc_json_at(spec, "software.type"), ""),
                  "demo") == 0)
    {
        return "1.20.4";
    }
    return v;
}

static bool
since(const writer_t *w, int major, int minor, int patch)
{
    return mc_version_at_least(w->version, major, minor, patch);
}


/* -- Java's format -- */

static unsigned
decode(const unsigned char **p)
{
    const unsigned char  *s = *p;
    unsigned              c = *s++;
    int                   more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

    if (more) {
        c &= 0x3fu >> more;
    }
    for ( ; more > 0 && (*s & 0xc0) == 0x80; more--) {
        c = c << 6 | (*s++ & 0x3f);
    }
    *p = s;
    return c;
}

static void
escape(writer_t *w, unsigned c, bool first)
{
    if (c >= 0x10000) {                 /* a surrogate pair */
        c -= 0x10000;
        mc_text_printf(&w->text, "\\u%04X\\u%04X", 0xd800 + (c >> 10),
                       0xdc00 + (c & 0x3ff));

    } else if (c == '\n') {
        mc_text_puts(&w->text, "\\n");

    } else if (c < 0x20 || c > 0x7e) {
        mc_text_printf(&w->text, "\\u%04X", c);

    } else if (c == '\\' || (c == ' ' && first)) {
        mc_text_printf(&w->text, "\\%c", c);

    } else {
        mc_text_printf(&w->text, "%c", c);
    }
}

static void
property(writer_t *w, const char *key, const char *value)
{
    const unsigned char  *p = (const unsigned char *) value;
    bool                  first = true;

    mc_text_puts(&w->text, key);
    mc_text_puts(&w->text, "=");
    while (*p) {
        escape(w, decode(&p), first);
        first = false;
    }
    mc_text_puts(&w->text, "\n");
}


/* -- fields -- */

static const char *
field(const writer_t *w, const char *name, const char *def)
{
    return mc_json_str(mc_json_get(w->props, name), def);
}

static void
write_plain(writer_t *w, const plain_t *p)
{
    const mc_json_t  *v = mc_json_get(w->props, p->field);
    const char       *value = p->def;
    int64_t           n;
    char              digits[24];

    if (!since(w, p->since[0], p->since[1], p->since[2])
        || (p->until[0] && since(w, p->until[0], p->until[1], p->until[2])))
    {
        return;
    }
    if (v && p->kind == BOOLEAN) {
        value = mc_json_bool(v, value && *value == 't') ? "true" : "false";

    } else if (mc_json_is_int(v, &n)) {
        snprintf(digits, sizeof(digits), "%lld", (long long) n);
        value = digits;
    }
    if (value) {
        property(w, p->key, value);
    }
}

/* Names since 1.14, before that the position in the list. */
static void
write_choice(writer_t *w, const char *key, const char *value,
    const char *const names[4])
{
    char  digit[2] = "0";
    int   i;

    if (since(w, 1, 14, 0)) {
        property(w, key, value);
        return;
    }
    for (i = 0; i < 4; i++) {
        if (strcmp(value, names[i]) == 0) {
            digit[0] = (char) ('0' + i);
        }
    }
    property(w, key, digit);
}

/* The names of world types got a namespace in 1.19. */
static void
write_level_type(writer_t *w)
{
    static const char  *names[][2] = {
        { "normal", "default" }, { "flat", "flat" },
        { "large_biomes", "largeBiomes" }, { "amplified", "amplified" }
    };
    const char         *value = field(w, "levelType", "minecraft:normal");
    size_t              i;

    if (!since(w, 1, 19, 0) && strncmp(value, "minecraft:", 10) == 0) {
        value += 10;
        for (i = 0; i < N(names); i++) {
            if (strcmp(value, names[i][0]) == 0) {
                value = names[i][1];
                break;
            }
        }
    }
    property(w, "level-type", value);
}

/* The prompt is a text component, that is JSON. */
static void
write_prompt(writer_t *w, const char *prompt)
{
    mc_text_t    json = { .a = w->text.a };
    size_t       n = mc_json_escape(NULL, 0, prompt, strlen(prompt));
    char        *buf = w->text.a->alloc(w->text.a->pool, n + 1);
    const char  *value;

    if (buf == NULL) {
        w->text.failed = true;
        return;
    }
    mc_json_escape(buf, n + 1, prompt, strlen(prompt));
    mc_text_puts(&json, "\"");
    mc_text_puts(&json, buf);
    mc_text_puts(&json, "\"");
    value = mc_text_end(&json);
    if (value == NULL) {
        w->text.failed = true;
        return;
    }
    property(w, "resource-pack-prompt", value);
}

static void
write_resource_pack(writer_t *w)
{
    const mc_json_t  *pack = mc_json_get(w->props, "resourcePack");
    const char       *prompt = mc_json_str(mc_json_get(pack, "prompt"), "");

    property(w, "resource-pack", mc_json_str(mc_json_get(pack, "url"), ""));
    property(w, "resource-pack-sha1",
             mc_json_str(mc_json_get(pack, "sha1"), ""));
    if (!since(w, 1, 17, 0)) {
        return;
    }
    property(w, "require-resource-pack",
             mc_json_bool(mc_json_get(pack, "required"), 0) ? "true"
                                                            : "false");
    if (*prompt) {
        write_prompt(w, prompt);
    } else {
        property(w, "resource-pack-prompt", "");
    }
}

/* What the platform decides: no tenant may change it. */
static void
write_platform(writer_t *w)
{
    bool  listed = mc_json_bool(mc_json_at(w->spec,
                                           "access.allowList.enabled"), 0);

    property(w, "server-ip", "");
    mc_text_printf(&w->text, "server-port=%d\n", MC_GAME_PORT);
    property(w, "enable-status", "true");
    property(w, "enable-query", "false");
    property(w, "enable-rcon", "true");
    mc_text_printf(&w->text, "rcon.port=%d\n", MC_RCON_PORT);
    property(w, "broadcast-rcon-to-ops", "false");
    property(w, "white-list", listed ? "true" : "false");
    property(w, "enforce-whitelist", listed ? "true" : "false");
}

static void
write_extra(writer_t *w)
{
    const mc_json_t  *extra = mc_json_get(w->props, "extra"), *m;

    if (extra == NULL || extra->type != MC_JSON_OBJECT) {
        return;
    }
    for (m = extra->child; m; m = m->next) {
        property(w, m->key, mc_json_str(m, ""));
    }
}

static void
writer_init(writer_t *w, const mc_alloc_t *a, const mc_json_t *spec)
{
    memset(w, 0, sizeof(*w));
    w->text.a = a;
    w->spec = spec;
    w->props = mc_json_get(spec, "properties");
    w->version = mc_properties_version(spec);
}

const char *
mc_properties_text(const mc_alloc_t *a, const mc_json_t *spec)
{
    static const char *const  modes[4] = { "survival", "creative",
                                           "adventure", "spectator" };
    static const char *const  levels[4] = { "peaceful", "easy", "normal",
                                            "hard" };
    writer_t                  w;
    size_t                    i;

    writer_init(&w, a, spec);
    property(&w, "motd", field(&w, "motd", "A Minecraft Server"));
    write_choice(&w, "difficulty", field(&w, "difficulty", "easy"), levels);
    write_choice(&w, "gamemode", field(&w, "gameMode", "survival"), modes);
    for (i = 0; i < N(plain); i++) {
        write_plain(&w, &plain[i]);
    }
    property(&w, "level-name", field(&w, "levelName", "world"));
    property(&w, "level-seed", field(&w, "levelSeed", ""));
    write_level_type(&w);
    write_resource_pack(&w);
    write_extra(&w);
    write_platform(&w);
    return mc_text_end(&w.text);
}

const char *
mc_properties_rules(const mc_alloc_t *a, const mc_json_t *spec)
{
    static const struct {
        const char  *field;
        int          def;
        const char  *rule;          /* 1.21.9, 1.21.10 */
        const char  *renamed;       /* 1.21.11 and later */
    } rules[] = {
        { "pvp", 1, "pvp", "pvp" },
        { "allowNether", 1, "allowEnteringNetherUsingPortals",
          "allow_entering_nether_using_portals" },
        { "spawnMonsters", 1, "spawnMonsters", "spawn_monsters" },
        { "commandBlocks", 0, "commandBlocksEnabled", "command_blocks_work" }
    };
    writer_t  w;
    size_t    i;
    bool      renamed;

    writer_init(&w, a, spec);
    if (!since(&w, 1, 21, 9)) {
        return "";
    }
    renamed = since(&w, 1, 21, 11);
    for (i = 0; i < N(rules); i++) {
        mc_text_printf(&w.text, "gamerule %s %s\n",
                       renamed ? rules[i].renamed : rules[i].rule,
                       mc_json_bool(mc_json_get(w.props, rules[i].field),
                                    rules[i].def) ? "true" : "false");
    }
    return mc_text_end(&w.text);
}
