/*
 * server.properties from spec.properties and spec.access: which keys there
 * are, and how their values are written, depends on the game's version.
 */

#ifndef MC_PROPERTIES_H
#define MC_PROPERTIES_H

#include "mc_json.h"

/* The ports inside of the pod. */
#define MC_GAME_PORT  25565
#define MC_RCON_PORT  25575
#define MC_PROXY_PORT 25577             /* instead, of software velocity */

/* The text of server.properties, in ISO 8859-1 with escapes as Java reads it.
 * It holds no secret: the RCON password reaches the game another way. The
 * result is of the allocator; NULL when memory is out. */
const char *mc_properties_text(const mc_alloc_t *a, const mc_json_t *spec);

/* Settings that this version of the game keeps as game rules of the world
 * instead (1.21.9 and later), as console commands, one a line. "" none. */
const char *mc_properties_rules(const mc_alloc_t *a, const mc_json_t *spec);

/* The version that the spec means: "demo" has a default of its own, else ""
 * is the latest. */
const char *mc_properties_version(const mc_json_t *spec);

#endif
