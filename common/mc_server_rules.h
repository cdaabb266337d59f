/*
 * The server document as a whole: the schema, and the rules between its
 * fields that a structural schema has no words for. REST and the reconciler
 * both ask here, so that they never disagree.
 */

#ifndef MC_SERVER_RULES_H
#define MC_SERVER_RULES_H

#include "mc_schema.h"

/* Checks the document {name, spec}, and a status when one is there. schema is
 * the compiled embedded schema. Every fault is reported, up to max, with
 * pointers like "/spec/eula/accepted". Returns the number of faults written;
 * 0: valid. Rules judge absent fields by their defaults; doc is not changed. */
unsigned mc_server_validate(const mc_schema_t *schema, const mc_json_t *doc,
    mc_schema_error_t *errors, unsigned max);

/* The same for a spec alone; the pointers begin with "/spec" too. */
unsigned mc_server_validate_spec(const mc_schema_t *schema,
    const mc_json_t *spec, mc_schema_error_t *errors, unsigned max);

/* What a change of a spec must not do: take room from the world, or give it
 * another class of storage. Both specs have their defaults. */
unsigned mc_server_validate_change(const mc_json_t *from, const mc_json_t *to,
    mc_schema_error_t *errors, unsigned max);

/* 1 when software of this type runs only after the EULA was accepted: every
 * type but "demo" and "velocity". */
int mc_server_needs_eula(const char *type);

/* 1 when the platform sets this key of server.properties itself:
 * server-port, rcon.*, enable-rcon, query.*, management-server-* and more. */
int mc_server_reserved_property(const char *key);

#endif
