/*
 * What a running game takes over from its console: the access lists, the
 * difficulty and the default game mode. Pure.
 */

#ifndef MC_HOT_H
#define MC_HOT_H

#include <stdbool.h>
#include "mc_json.h"

/* The console commands that lead from one spec to another, as an array of
 * strings, in order. before NULL: not known, then everything that `after` lists
 * is said again and nothing is taken away. In mode Merge only what the spec
 * itself had listed is taken away. NULL when memory is out. */
mc_json_t *mc_hot_commands(const mc_alloc_t *a, const mc_json_t *before,
    const mc_json_t *after);

/* Whether the console can make this entry of access.operators what it is: it
 * gives every right. Others (a lower level, a place in a full server) need a
 * new pod, and are part of mc_engine_desired_hash(). */
bool mc_hot_operator(const mc_json_t *operator);

/* Whether both specs agree in all of it. */
bool mc_hot_equal(const mc_json_t *before, const mc_json_t *after);

#endif
