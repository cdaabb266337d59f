/*
 * server.properties, and the versions that decide what is in it.
 */

#include "gameversion.h"
#include "pool.h"
#include "properties.h"
#include "tap.h"

static pool_t      pool = { .left = -1 };
static mc_alloc_t  a = { pool_alloc, &pool };

static mc_json_t *
json(const char *text)
{
    mc_json_error_t   err;
    mc_json_t        *v = mc_json_parse(&a, text, strlen(text), &err);

    if (v == NULL) {
        printf("Bail out! %s: %s\n", err.message, text);
        exit(1);
    }
    return v;
}

static const char *
text_of(const char *spec)
{
    return mc_properties_text(&a, json(spec));
}

/* The value of a key, the last one if there are more, NULL when absent. */
static const char *
value(const char *text, const char *key)
{
    static char   buf[4096];
    const char   *p, *end;
    size_t        n = strlen(key);
    const char   *found = NULL;

    for (p = text; *p; p = end + 1) {
        end = strchr(p, '\n');
        if (strncmp(p, key, n) == 0 && p[n] == '=') {
            snprintf(buf, sizeof(buf), "%.*s", (int) (end - p - (long) n - 1),
                     p + n + 1);
            found = buf;
        }
    }
    return found;
}

#define SPEC(type, version, rest)                                            \
    "{\"software\":{\"type\":\"" type "\",\"version\":\"" version "\"}" rest "}"

static void
versions(void)
{
    ok(mc_version_at_least("1.21.9", 1, 21, 9), "1.21.9 is 1.21.9");
    ok(!mc_version_at_least("1.21.8", 1, 21, 9), "1.21.8 is older");
    ok(mc_version_at_least("1.21.10", 1, 21, 9), "1.21.10 is newer");
    ok(mc_version_at_least("26.1", 1, 21, 11), "26.1 is newer");
    ok(!mc_version_at_least("1.8.8", 1, 13, 0), "1.8.8 is older than 1.13");
    ok(mc_version_at_least("1.21", 1, 21, 0), "1.21 is 1.21.0");
    ok(!mc_version_at_least("1.21", 1, 21, 1), "1.21 is older than 1.21.1");
    ok(mc_version_at_least("1.21.9-pre1", 1, 21, 9), "a pre-release counts");
    ok(mc_version_at_least("", 99, 0, 0), "none is the newest");
    ok(mc_version_at_least("LATEST", 99, 0, 0), "LATEST is the newest");
    ok(mc_version_at_least("25w46a", 1, 21, 9), "a snapshot of 2025");
    ok(!mc_version_at_least("23w13a", 1, 21, 0), "a snapshot of 2023");
    ok(mc_version_at_least("27w02a", 26, 1, 0), "a snapshot to come");
}

static void
whole(void)
{
    is(text_of(SPEC("paper", "1.20.4", "")),
       "motd=A Minecraft Server\n"
       "difficulty=easy\n"
       "gamemode=survival\n"
       "max-players=20\n"
       "online-mode=true\n"
       "enforce-secure-profile=true\n"
       "hardcore=false\n"
       "force-gamemode=false\n"
       "allow-flight=false\n"
       "generate-structures=true\n"
       "view-distance=10\n"
       "simulation-distance=10\n"
       "spawn-protection=16\n"
       "player-idle-timeout=0\n"
       "pvp=true\n"
       "allow-nether=true\n"
       "spawn-monsters=true\n"
       "enable-command-block=false\n"
       "level-name=world\n"
       "level-seed=\n"
       "level-type=minecraft:normal\n"
       "resource-pack=\n"
       "resource-pack-sha1=\n"
       "require-resource-pack=false\n"
       "resource-pack-prompt=\n"
       "server-ip=\n"
       "server-port=25565\n"
       "enable-status=true\n"
       "enable-query=false\n"
       "enable-rcon=true\n"
       "rcon.port=25575\n"
       "broadcast-rcon-to-ops=false\n"
       "white-list=false\n"
       "enforce-whitelist=false\n", "the defaults, all of them");
}

static void
fields(void)
{
    const char  *t = text_of(SPEC("demo", "", ",\"properties\":{"
        "\"motd\":\"Hi\",\"difficulty\":\"hard\",\"gameMode\":\"creative\","
        "\"forceGameMode\":true,\"maxPlayers\":7,\"onlineMode\":false,"
        "\"enforceSecureProfile\":false,\"hardcore\":true,\"pvp\":false,"
        "\"allowFlight\":true,\"allowNether\":false,\"spawnMonsters\":false,"
        "\"commandBlocks\":true,\"generateStructures\":false,"
        "\"viewDistance\":4,\"simulationDistance\":5,\"spawnProtection\":0,"
        "\"playerIdleTimeout\":9,\"levelName\":\"w\",\"levelSeed\":\"42\","
        "\"levelType\":\"minecraft:flat\",\"resourcePack\":{"
        "\"url\":\"https://e.org/p.zip\",\"sha1\":\"ab\",\"required\":true,"
        "\"prompt\":\"a \\\"b\\\"\"},\"extra\":{\"max-tick-time\":\"-1\"}},"
        "\"access\":{\"allowList\":{\"enabled\":true}}"));
    static const char *const  want[][2] = {
        { "motd", "Hi" }, { "difficulty", "hard" },
        { "gamemode", "creative" }, { "force-gamemode", "true" },
        { "max-players", "7" }, { "online-mode", "false" },
        { "enforce-secure-profile", "false" }, { "hardcore", "true" },
        { "pvp", "false" }, { "allow-flight", "true" },
        { "allow-nether", "false" }, { "spawn-monsters", "false" },
        { "enable-command-block", "true" },
        { "generate-structures", "false" }, { "view-distance", "4" },
        { "simulation-distance", "5" }, { "spawn-protection", "0" },
        { "player-idle-timeout", "9" }, { "level-name", "w" },
        { "level-seed", "42" }, { "level-type", "minecraft:flat" },
        { "resource-pack", "https://e.org/p.zip" },
        { "resource-pack-sha1", "ab" }, { "require-resource-pack", "true" },
        { "resource-pack-prompt", "\"a \\\\\"b\\\\\"\"" },
        { "max-tick-time", "-1" }, { "white-list", "true" },
        { "enforce-whitelist", "true" }
    };
    size_t                    i;

    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        is(value(t, want[i][0]), want[i][1], "%s", want[i][0]);
    }
    is(value(t, "rcon.password"), NULL, "no secret in it");
}

static void
by_version(void)
{
    const char  *old = text_of(SPEC("vanilla", "1.12.2", ",\"properties\":{"
        "\"gameMode\":\"adventure\",\"difficulty\":\"normal\","
        "\"levelType\":\"minecraft:large_biomes\"}"));
    const char  *new = text_of(SPEC("vanilla", "1.21.9", ",\"properties\":{"
        "\"pauseWhenEmptySeconds\":60,\"pvp\":false}"));
    const char  *latest = text_of(SPEC("paper", "", ""));

    is(value(old, "gamemode"), "2", "1.12: game modes are numbers");
    is(value(old, "difficulty"), "2", "and difficulties");
    is(value(old, "level-type"), "largeBiomes", "world types have old names");
    is(value(old, "simulation-distance"), NULL, "no simulation-distance");
    is(value(old, "enforce-secure-profile"), NULL, "no secure profiles");
    is(value(old, "require-resource-pack"), NULL, "no required packs");
    is(value(old, "pvp"), "true", "pvp is a property");
    is(value(text_of(SPEC("vanilla", "1.18.2", "")), "level-type"), "default",
       "1.18: the normal world is \"default\"");
    is(value(text_of(SPEC("vanilla", "1.14", "")), "gamemode"), "survival",
       "1.14: game modes are names");
    is(value(new, "pause-when-empty-seconds"), "60", "since 1.21.2");
    is(value(text_of(SPEC("vanilla", "1.21.1", ",\"properties\":{"
       "\"pauseWhenEmptySeconds\":60}")), "pause-when-empty-seconds"), NULL,
       "not before");
    is(value(new, "pvp"), NULL, "1.21.9: pvp is no property any more");
    is(value(new, "allow-nether"), NULL, "nor allow-nether");
    is(value(new, "spawn-monsters"), NULL, "nor spawn-monsters");
    is(value(new, "enable-command-block"), NULL, "nor command blocks");
    is(value(latest, "pvp"), NULL, "the latest version is newer than 1.21.9");
}

static void
rules(void)
{
    is(mc_properties_rules(&a, json(SPEC("paper", "1.21.8", ""))), "",
       "no game rules before 1.21.9");
    is(mc_properties_rules(&a, json(SPEC("paper", "1.21.9",
       ",\"properties\":{\"pvp\":false}"))),
       "gamerule pvp false\n"
       "gamerule allowEnteringNetherUsingPortals true\n"
       "gamerule spawnMonsters true\n"
       "gamerule commandBlocksEnabled false\n", "game rules of 1.21.9");
    is(mc_properties_rules(&a, json(SPEC("paper", "1.21.11",
       ",\"properties\":{\"spawnMonsters\":false}"))),
       "gamerule pvp true\n"
       "gamerule allow_entering_nether_using_portals true\n"
       "gamerule spawn_monsters false\n"
       "gamerule command_blocks_work false\n", "renamed in 1.21.11");
}

static void
escapes(void)
{
    const char  *t = text_of(SPEC("demo", "", ",\"properties\":{"
        "\"motd\":\" \\u00a7aGr\\u00fc\\u00dfe\\nline\\\\n \\ud83d\\ude00 "
        "a=b:c#d!\",\"levelSeed\":\"x\"}"));

    is(value(t, "motd"), "\\ \\u00A7aGr\\u00FC\\u00DFe\\nline\\\\n "
       "\\uD83D\\uDE00 a=b:c#d!", "text is escaped as Java reads it");
    is(value(t, "level-seed"), "x", "and what follows is whole");
}

static void
no_memory(void)
{
    const mc_json_t  *spec = json(SPEC("paper", "1.21.11", ""));
    const char       *t = NULL;
    long              n;

    for (n = 0; n < 100 && t == NULL; n++) {
        pool.left = n;
        t = mc_properties_text(&a, spec);
    }
    pool.left = -1;
    ok(n > 1 && t, "out of memory is told, after %ld allocations not", n - 1);
}

int
main(void)
{
    versions();
    whole();
    fields();
    by_version();
    rules();
    escapes();
    no_memory();
    pool_free(&pool);
    return done_testing();
}
