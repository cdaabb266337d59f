'use strict'
/*
 * server.properties: Java's format, read and written. The file below /config
 * is what is wanted; it is merged key by key into the one below /data, which
 * keeps whatever else it has.
 */

const fs = require('fs')
const path = require('path')

const UNESCAPED = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape (text) {
  return text.replace(/\\(u[0-9a-fA-F]{4}|[^])/g, (_, c) =>
    c.length === 5 ? String.fromCharCode(parseInt(c.slice(1), 16)) : (UNESCAPED[c] ?? c))
}

function escape (text, isKey) {
  return text
    .replace(/[\\#!=:]/g, '\\$&')
    .replace(isKey ? / /g : /^ /, '\\ ')
    .replace(/[\t\n\r\f]/g, c => '\\' + { '\t': 't', '\n': 'n', '\r': 'r', '\f': 'f' }[c])
    .replace(/[^\x20-\x7e]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
}

/* Text to a Map, in the order of the file; the last of equal keys counts. */
function parse (text) {
  const map = new Map()
  const lines = text.split(/\r\n|\r|\n/)
  for (let i = 0; i < lines.length; i++) {
    let line = lines[i].replace(/^[ \t\f]+/, '')
    if (line === '' || line[0] === '#' || line[0] === '!') continue
    /* An odd number of backslashes at the end continues the line. */
    while (/(^|[^\\])(\\\\)*\\$/.test(line) && i + 1 < lines.length) {
      line = line.slice(0, -1) + lines[++i].replace(/^[ \t\f]+/, '')
    }
    const m = /^((?:\\[^]|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*([^]*)$/.exec(line)
    if (m) map.set(unescape(m[1]), unescape(m[2]))
  }
  return map
}

function format (map) {
  let text = '#Minecraft server properties\n'
  for (const [key, value] of map) text += `${escape(key, true)}=${escape(value, false)}\n`
  return text
}

function read (file) {
  try {
    return parse(fs.readFileSync(file, 'utf8'))
  } catch (err) {
    if (err.code === 'ENOENT' || err.code === 'ENOTDIR') return new Map()
    throw err
  }
}

/* Merges configDir/server.properties into dataDir/server.properties and
 * returns the result. A password that somebody put there does not stay. */
function load (dataDir, configDir) {
  const file = path.join(dataDir, 'server.properties')
  const merged = read(file)
  for (const [key, value] of read(path.join(configDir, 'server.properties'))) merged.set(key, value)
  merged.delete('rcon.password')
  merged.delete('management-server-secret')
  fs.writeFileSync(file + '.tmp', format(merged))
  fs.renameSync(file + '.tmp', file)
  return merged
}

module.exports = { parse, format, load }
