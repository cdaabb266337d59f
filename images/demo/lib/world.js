'use strict'
/*
 * A world that another version of the game wrote. Chunks are readable within
 * one format of theirs and not beyond it; the library does not convert them as
 * the vanilla server does.
 */

const fs = require('fs')
const path = require('path')
const log = require('./log')

/* The first minor version of each format of chunks. */
const FORMATS = [8, 13, 14, 16, 18]

function formatOf (version) {
  const minor = Number(version.split('.')[1])
  return FORMATS.filter(first => first <= minor).length
}

/* Puts chunks that this version cannot read aside, where an older version
 * finds them again: <world>/region becomes <world>/region.1.16.5, and one that
 * was put aside earlier comes back. Players keep their inventories. */
async function prepare (folder, version) {
  const { readLevel, writeLevel } = require('prismarine-provider-anvil').level
  const file = path.join(folder, 'level.dat')
  if (!fs.existsSync(file)) return
  const level = await readLevel(file)
  const from = level.Version?.Name
  if (!/^\d+\.\d+/.test(from ?? '') || from === version) return

  if (formatOf(from) !== formatOf(version)) {
    const region = path.join(folder, 'region')
    log.warn(`This world's chunks were written by ${from}, which ${version} cannot read; they are kept in region.${from}`)
    fs.renameSync(region, `${region}.${from}`)
    const earlier = fs.readdirSync(folder).find(name =>
      /^region\.\d+\.\d+/.test(name) && formatOf(name.slice(7)) === formatOf(version))
    if (earlier) fs.renameSync(path.join(folder, earlier), region)
  }
  await writeLevel(file, {
    RandomSeed: level.RandomSeed,
    Version: { Name: version },
    generatorName: level.generatorName
  })
}

module.exports = { prepare }
