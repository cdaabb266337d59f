/*
 * Versions of Minecraft: "1.20.4", "26.1", "1.21.9-pre1", "25w37a", "LATEST".
 */

#ifndef MC_GAMEVERSION_H
#define MC_GAMEVERSION_H

#include <stdbool.h>

/* True when version is that one or a later one. What is empty, "LATEST",
 * "SNAPSHOT" or no version at all counts as newer than every other. A
 * pre-release counts as its release, a weekly snapshot as the last release
 * of its year. */
bool mc_version_at_least(const char *version, int major, int minor, int patch);

#endif
