'use strict'
/*
 * The lists of players and addresses that vanilla keeps: ops.json,
 * whitelist.json, banned-players.json, banned-ips.json. They outlive a
 * restart; a list below /config replaces the one below /data at every start.
 */

const crypto = require('crypto')
const fs = require('fs')
const path = require('path')
const log = require('./log')

class List {
  /* Entries are known by their member key, whose case does not count. */
  constructor (file, key) {
    this.file = file
    this.key = key
    this.entries = new Map()
    try {
      for (const entry of JSON.parse(fs.readFileSync(file, 'utf8'))) {
        if (typeof entry[key] === 'string') this.entries.set(entry[key].toLowerCase(), entry)
      }
    } catch (err) {
      if (err.code !== 'ENOENT') log.warn(`Failed to load ${path.basename(file)}: ${err.message}`)
    }
  }

  get (name) { return this.entries.get(name.toLowerCase()) }

  has (name) { return this.entries.has(name.toLowerCase()) }

  names () { return [...this.entries.values()].map(entry => entry[this.key]) }

  /* Both are true when that changed anything. */
  add (entry) {
    const name = entry[this.key].toLowerCase()
    if (this.entries.has(name)) return false
    this.entries.set(name, entry)
    return this.write()
  }

  remove (name) {
    return this.entries.delete(name.toLowerCase()) && this.write()
  }

  /* Names with commas, as OPS and WHITELIST of the image itzg/minecraft-server
   * have them; mode is that of EXISTING_OPS_FILE. */
  take (names, mode, entry) {
    if (mode === 'SKIP') return
    if (mode === 'SYNCHRONIZE') {
      this.entries.clear()
      this.write()
    }
    for (const name of (names ?? '').split(',').filter(name => name !== '')) this.add(entry(name))
  }

  write () {
    fs.writeFileSync(this.file + '.tmp', JSON.stringify([...this.entries.values()], null, 2))
    fs.renameSync(this.file + '.tmp', this.file)
    return true
  }
}

/* The UUID that a server which does not ask Mojang gives a name. */
function offlineUuid (name) {
  const h = crypto.createHash('md5').update(`OfflinePlayer:${name}`).digest()
  h[6] = (h[6] & 0x0f) | 0x30
  h[8] = (h[8] & 0x3f) | 0x80
  return h.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/* {operators, allowed, banned, bannedIps}, and enforced: whether only those
 * who are allowed may come in. */
function load (dataDir, configDir, enforced, env) {
  const list = (name, key) => {
    const file = path.join(dataDir, name)
    const wanted = path.join(configDir, name)
    if (fs.existsSync(wanted)) {
      fs.copyFileSync(wanted, file + '.tmp')
      fs.renameSync(file + '.tmp', file)
    }
    return new List(file, key)
  }
  const lists = {
    enforced,
    operators: list('ops.json', 'name'),
    allowed: list('whitelist.json', 'name'),
    banned: list('banned-players.json', 'name'),
    bannedIps: list('banned-ips.json', 'ip')
  }
  const player = name => ({ uuid: offlineUuid(name), name })
  lists.operators.take(env.OPS, env.EXISTING_OPS_FILE,
    name => ({ ...player(name), level: 4, bypassesPlayerLimit: false }))
  lists.allowed.take(env.WHITELIST, env.EXISTING_WHITELIST_FILE, player)
  return lists
}

/* An address as people write it: that of IPv4 also on a socket of IPv6. */
function address (socket) {
  return (socket?.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

/* Why somebody may not come in, or undefined. */
function refusal (lists, name, ip) {
  const ban = lists.banned.get(name)
  if (ban) return `You are banned from this server.\nReason: ${ban.reason}`
  const banIp = lists.bannedIps.get(ip)
  if (banIp) return `Your IP address is banned from this server.\nReason: ${banIp.reason}`
  if (lists.enforced && !lists.allowed.has(name) && !lists.operators.has(name)) {
    return 'You are not white-listed on this server!'
  }
}

module.exports = { load, address, refusal, offlineUuid }
