/*
 * Add-ons: which files go where. In Kubernetes an init container fetches them
 * (addons.sh); this is the list it is given.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "manifest_private.h"
#include "text.h"

#define MODRINTH  "https://api.modrinth.com/v2/project/"

/* What each software runs of Modrinth's, as JSON in a query. */
static const struct {
    const char  *type;
    const char  *loaders;
} loaders[] = {
    { "paper", "[\"paper\",\"spigot\",\"bukkit\"]" },
    { "purpur", "[\"purpur\",\"paper\",\"spigot\",\"bukkit\"]" },
    { "folia", "[\"folia\"]" },
    { "fabric", "[\"fabric\"]" },
    { "forge", "[\"forge\"]" },
    { "neoforge", "[\"neoforge\"]" },
    { "quilt", "[\"quilt\",\"fabric\"]" },
    { "velocity", "[\"velocity\"]" }
};


static bool
is_datapack(const mc_json_t *addon)
{
    return strcmp(mc_json_str(mc_json_get(addon, "kind"), ""),
                  "Datapack") == 0;
}

static void
encode(mc_text_t *t, const char *s)
{
    for (; *s; s++) {
        if (isalnum((unsigned char) *s) || strchr("-._~", *s)) {
            mc_text_add(t, s, 1);
        } else {
            mc_text_printf(t, "%%%02X", (unsigned char) *s);
        }
    }
}

/* A version by its number or id, or the list of those that fit. */
static void
modrinth(build_t *b, mc_text_t *t, const mc_json_t *addon)
{
    const mc_json_t  *source = mc_json_at(addon, "source.modrinth");
    const char       *version = mc_json_str(mc_json_get(source, "version"),
                                            NULL);
    const char       *fits = NULL;
    size_t            i;

    mc_text_puts(t, "modrinth\t" MODRINTH);
    encode(t, mc_json_str(mc_json_get(source, "project"), ""));
    mc_text_puts(t, "/version");
    if (version) {
        mc_text_puts(t, "/");
        encode(t, version);
        return;
    }
    for (i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++) {
        if (strcmp(b->type, loaders[i].type) == 0) {
            fits = loaders[i].loaders;
        }
    }
    if (is_datapack(addon)) {
        fits = "[\"datapack\"]";
    }
    if (fits) {
        mc_text_puts(t, "?loaders=");
        encode(t, fits);
    }
    /* a proxy's version is not the game's */
    if (isdigit((unsigned char) b->version[0])
        && strcmp(b->type, "velocity") != 0)
    {
        mc_text_puts(t, fits ? "&game_versions=" : "?game_versions=");
        encode(t, "[\"");
        encode(t, b->version);
        encode(t, "\"]");
    }
}

static void
folder(build_t *b, mc_text_t *t, const mc_json_t *addon)
{
    const char  *kind = mc_json_str(mc_json_get(addon, "kind"), "");

    if (is_datapack(addon)) {
        mc_text_printf(t, "%s/datapacks",
                       mc_build_spec(b, "properties.levelName", "world"));
    } else {
        mc_text_puts(t, strcmp(kind, "Mod") == 0 ? "mods" : "plugins");
    }
}

static void
file(mc_text_t *t, const mc_json_t *addon)
{
    const char  *name = mc_json_str(mc_json_get(addon, "name"), "");
    const char  *end = is_datapack(addon) ? ".zip" : ".jar";
    size_t       n = strlen(name);

    mc_text_puts(t, name);
    if (n < 4 || strcmp(name + n - 4, end) != 0) {
        mc_text_puts(t, end);
    }
}

static void
checksum(mc_text_t *t, const mc_json_t *addon)
{
    const char  *sha512 = mc_json_str(mc_json_get(addon, "sha512"), NULL);
    const char  *sum = sha512 ? sha512
                       : mc_json_str(mc_json_get(addon, "sha256"), NULL);
    char         c;

    mc_text_puts(t, sha512 ? "sha512:" : sum ? "sha256:" : "-");
    for (; sum && *sum; sum++) {
        c = (char) tolower((unsigned char) *sum);
        mc_text_add(t, &c, 1);
    }
}

const char *
mc_build_addons(build_t *b)
{
    const mc_json_t  *v = mc_json_get(b->spec, "addons");
    mc_text_t         t = { .a = b->a };
    const char       *text, *url;

    for (v = v ? v->child : NULL; v; v = v->next) {
        folder(b, &t, v);
        mc_text_puts(&t, "\t");
        file(&t, v);
        mc_text_puts(&t, "\t");
        checksum(&t, v);
        mc_text_puts(&t, "\t");
        url = mc_json_str(mc_json_at(v, "source.url"), NULL);
        if (url) {
            mc_text_printf(&t, "url\t%s", url);
        } else {
            modrinth(b, &t, v);
        }
        mc_text_puts(&t, "\n");
    }
    text = mc_text_end(&t);
    b->failed |= (text == NULL);
    return text ? text : "";
}
